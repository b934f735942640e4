/* SPDX-License-Identifier: MIT */
#ifndef DEXT_DEXT_H
#define DEXT_DEXT_H

/** @file dext/dext.h
 *  @brief The command-line tool: one file a command, one table. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ambidext/realm.h>

/* Exit statuses of every command. */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command {
	const char *name;
	const char *arguments; /* for the usage line */
	const char *summary;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
	const char *help;      /* options and what they do; lines */
};

extern const struct command commands[];
extern const size_t n_commands;

int command_build(int argc, char **argv);
int command_load(int argc, char **argv);
int command_upgrade(int argc, char **argv);
int command_unload(int argc, char **argv);
int command_unquarantine(int argc, char **argv);
int command_list(int argc, char **argv);
int command_attach(int argc, char **argv);
int command_detach(int argc, char **argv);
int command_log(int argc, char **argv);
int command_crash(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_realm(int argc, char **argv);

/** "dext NAME: text" to standard error, red on a terminal. Returns EXIT_FAILED. */
int fail(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** A line of progress to standard error. */
void progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** Usage of @p command to standard error. Returns EXIT_USAGE. */
int usage_of(const char *command, const char *problem);
/** Sentence for a daemon's answer: its name, and what it means when there is no dextd. Borrowed. */
const char *answer_text(kern_return_t answer);

/** What was installed with this program, at @p from_self as seen from its folder. @return @p path, or NULL: it is not there */
const char *installed_path(const char *from_self, char path[static PATH_MAX]);
/** A program of ours: $@p variable if it is set, else the installed one, else its name, for $PATH. @return @p path or borrowed */
const char *own_program(const char *variable, const char *from_self, char path[static PATH_MAX]);

/* crash.c: incidents in the folder of a realm. */

/** Number of the newest; 0: none. */
uint64_t crash_newest(const char *realm);
/** How many are newer than @p after. */
unsigned crash_count(const char *realm, uint64_t after);
/** Print those newer than @p after, the first @p max of them. */
void crash_show_all(const char *realm, uint64_t after, unsigned max);
void crash_remove_all(const char *realm);

/* plist.c: an Info.plist with Xcode's variables. */

struct plist_variable {
	char *name;  /* owned */
	char *value; /* owned */
};
struct plist_variables {
	struct plist_variable *each; /* owned */
	size_t n;
};
int plist_variables_set(struct plist_variables *variables, const char *name, const char *value);
void plist_variables_done(struct plist_variables *variables);
/**
 * Read @p from, replace $(NAME), ${NAME} and $(NAME:modifier) in all keys and strings, add what Xcode adds, write XML to @p to.
 * Every problem is printed; @return their number. @p ret_executable: CFBundleExecutable, owned.
 */
int plist_expand(const char *from, const char *to, const struct plist_variables *variables, char **ret_executable);

/* declared.c: rule T39 */

/** Text of all the files, one after the other. Owned; NULL: no memory. */
char *declared_read(char *const *paths, size_t n);
/** Tell of each implementation in the source @p path that iig's @p headers do not declare. @return their number */
unsigned declared_check(const char *path, const char *headers);

#endif /* DEXT_DEXT_H */
