/* SPDX-License-Identifier: MIT */
#ifndef DEXTD_REALM_TEST_H
#define DEXTD_REALM_TEST_H

/**
 * @file dextd/realm_test.h
 * @brief For tests of the whole daemon: a real dextd in a realm of its own, real processes that
 * speak the protocol (fake_driver.c), and this client.
 *
 * Every wait is for an event; the only clock is the daemon's back-off. Failures end the test.
 * DEXTD_TEST_LOG=1 shows the realms' logs.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <Ambidext/ADXObserver.h>
#include <Ambidext/ADXRegistry.h>

#include "channel/channel.h"
#include "channel/loop.h"
#include "dextd/value.h"

#define SECONDS  20
#define NS_PER_S 1000000000ull

struct test {
	char dir[64];
	pid_t dextd;
	struct adxi_loop *loop;
	struct adxi_channel *channel;
	ADXRegistry *registry;
	ADXObserver *observer;
};

/* What observers were told, in order. */
struct heard {
	uint64_t token;
	uint64_t id;
	uint32_t message;
	uint64_t argument;
};

extern const char *dextd_path, *driver_path;
extern struct heard heard[256];
extern unsigned n_heard;

/** Of main(): DEXTD FAKE_DRIVER [TEST]. False: usage was printed. */
bool test_arguments(int argc, char **argv);

/* The daemon and this client. tear_down(): SIGTERM leaves nothing, no process and no socket. */
void start_dextd(struct test *test, const char *const *more);
/** A socket that dextd has been asked to accept. */
int connect_socket(struct test *test);
void connect_client(struct test *test);
void disconnect_client(struct test *test);
int set_up(void **state);
int set_up_strict(void **state);
int set_up_alone(void **state);
int tear_down(void **state);
void turn_until(struct test *test, bool (*done)(void *context), void *context, const char *what);
bool has_heard(void *context);
uint64_t wait_heard(struct test *test, uint64_t token, uint64_t id, uint32_t message,
		    const char *what);

/* Bundles and lookups. */
#define ON_RESOURCES                                                                               \
	"<key>IOProviderClass</key><string>IOUserResources</string><key>IOResourceMatch</"         \
	"key><string>IOKit</string>"
#define ON_NUB          "<key>IOProviderClass</key><string>FakeNub</string>"
#define ON_CHILD        "<key>IOProviderClass</key><string>FakeChild</string>"
#define REGISTERS       "<key>FakeRegister</key><true/>"
#define HOW(key, value) "<key>" key "</key><string>" value "</string>"

void write_bundle(struct test *test, const char *name, const char *server_name,
		  const char *category, const char *keys);
void load(struct test *test, const char *name);
IOReturn unload(struct test *test, const char *id);
OSDictionary *by_name(const char *name);
unsigned lookup(struct test *test, const char *name, uint64_t *ret_id);
void quiet(struct test *test);
uint64_t attach(struct test *test, const char *name);
void detach(struct test *test);
uint64_t notify(struct test *test, const char *type, const char *name, uint64_t token);
IOReturn tell_driver(struct test *test, uint64_t id, const char *key, uint64_t number);
bool log_has(struct test *test, const char *rule, const char *text);
void wait_log(struct test *test, const char *rule, const char *text);
uint64_t entry_number(struct test *test, uint64_t id, const char *key);
unsigned server_count(struct test *test);
IOReturn open_client(struct test *test, uint64_t id, uint32_t type, uint64_t *ret_client);

#define TEST(name)        cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_ALONE(name)  cmocka_unit_test_setup_teardown(name, set_up_alone, tear_down)
#define TEST_STRICT(name) cmocka_unit_test_setup_teardown(name, set_up_strict, tear_down)

#endif /* DEXTD_REALM_TEST_H */
