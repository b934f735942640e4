/* SPDX-License-Identifier: MIT */
/* The one table: what is measured against what. docs/benchmarks.md says what each group is about.
 */

#include "rows.h"

/* Two processes that wake each other and that nobody pins have two stable placements: on one
 * processor, and apart, where a round trip is several times as long. Which of them the kernel
 * chooses changes from hour to hour, so the reference stands apart by affinity. One processor has
 * rows of its own (B1); "natural" rows show what the kernel makes of a reference that is left
 * alone. */
#define FUTEX    "floor/futex --pin two"
#define FUTEX_1  "floor/futex --pin one"
#define RPC      "ambidext/rpc"
#define SPIN_OFF "AMBIDEXT_SPIN=off "

/* clang-format off */
#define ROW(bar_, group_, name_, what_, reference_, candidate_, kind_, direction_, wanted_, ...) \
	{ .bar = bar_, .group = group_, .name = name_, .what = what_, .reference = reference_, .candidate = candidate_, \
	  .kind = kind_, .direction = direction_, .wanted = wanted_, __VA_ARGS__ }
#define TIME(bar_, group_, name_, what_, reference_, candidate_, direction_, wanted_) \
	ROW(bar_, group_, name_, what_, reference_, candidate_, BENCH_TIME, direction_, wanted_)
#define FIGURE(bar_, group_, name_, what_, candidate_, direction_, wanted_, figure_, unit_, ...) \
	ROW(bar_, group_, name_, what_, 0, candidate_, BENCH_FIGURE, direction_, wanted_, .figure = figure_, .unit = unit_, __VA_ARGS__)
/* A peer, both sizes, candidate asleep between calls. Peers stand apart as the futex does, but for the one that has a thread on
 * every processor; what the kernel makes of them otherwise is shown, too. */
#define PEER_AT(pin_, name_, what_, program_, wanted_) \
	TIME("B7", "rpc", name_ "-64", "64 B call, spin off: so many times faster than " what_, \
	     program_ pin_ " --bytes 64", SPIN_OFF RPC " --bytes 64", BENCH_AT_LEAST, wanted_), \
	TIME("B7", "rpc", name_ "-4k", "4 KiB call, spin off: so many times faster than " what_, \
	     program_ pin_ " --bytes 4096", SPIN_OFF RPC " --bytes 4096", BENCH_AT_LEAST, wanted_)
#define PEER_SHOWN(name_, what_, program_) \
	TIME("", "rpc", name_ "-natural", "64 B call, spin off, against " what_ " wherever the kernel puts it", \
	     program_ " --bytes 64", SPIN_OFF RPC " --bytes 64", BENCH_SHOWN, 0)
#define PEER(name_, what_, program_, wanted_) \
	PEER_AT(" --pin two", name_, what_, program_, wanted_), PEER_SHOWN(name_, what_, program_)
#define PAYLOAD(bytes_) \
	TIME("", "payload", "payload-" bytes_ "-off", bytes_ " B in and out, spin off", FUTEX " --bytes " bytes_, \
	     SPIN_OFF RPC " --bytes " bytes_, BENCH_SHOWN, 0), \
	TIME("", "payload", "payload-" bytes_ "-adaptive", bytes_ " B in and out, default settings", FUTEX " --bytes " bytes_, \
	     RPC " --bytes " bytes_, BENCH_SHOWN, 0)
#define DEPTH(depth_) \
	TIME("", "depth", "depth-" depth_, "null transfers, " depth_ " in flight", "peers/redir --depth " depth_, \
	     "usb/transfer --depth " depth_, BENCH_SHOWN, 0)

const struct bench_row bench_rows[] = {
	/* ---- synchronous calls ---- */
	TIME("B1", "rpc", "null-one-core", "null method, all on one processor, spin off",
	     FUTEX_1, SPIN_OFF RPC " --pin one", BENCH_AT_MOST, 1.25),
	TIME("B1", "rpc", "4k-one-core", "4 KiB structure in and out, all on one processor, spin off",
	     FUTEX_1 " --bytes 4096", SPIN_OFF RPC " --pin one --bytes 4096", BENCH_AT_MOST, 1.25),
	TIME("B2", "rpc", "null-off", "null method, spin off", FUTEX, SPIN_OFF RPC, BENCH_AT_MOST, 0.35),
	TIME("B2", "rpc", "64-off", "64 B structure in and out, spin off",
	     FUTEX " --bytes 64", SPIN_OFF RPC " --bytes 64", BENCH_AT_MOST, 0.35),
	TIME("B2", "rpc", "4k-off", "4 KiB structure in and out, spin off",
	     FUTEX " --bytes 4096", SPIN_OFF RPC " --bytes 4096", BENCH_AT_MOST, 0.36),
	TIME("", "rpc", "16k-off", "16 KiB structure in and out, in shared memory, spin off",
	     FUTEX " --bytes 16384", SPIN_OFF RPC " --bytes 16384", BENCH_SHOWN, 0),
	TIME("", "rpc", "256k-off", "256 KiB structure in and out, in shared memory, spin off",
	     FUTEX " --bytes 262144", SPIN_OFF RPC " --bytes 262144", BENCH_SHOWN, 0),
	TIME("B3", "rpc", "null-hot", "null method in a loop, default settings", FUTEX, RPC, BENCH_AT_MOST, 0.09),
	TIME("B3", "rpc", "64-hot", "64 B in a loop, default settings", FUTEX " --bytes 64", RPC " --bytes 64", BENCH_AT_MOST, 0.12),
	TIME("B3", "rpc", "4k-hot", "4 KiB in a loop, default settings", FUTEX " --bytes 4096", RPC " --bytes 4096",
	     BENCH_AT_MOST, 0.32),
	TIME("", "rpc", "null-off-natural", "null method, spin off, against a futex ping-pong wherever the kernel puts it",
	     "floor/futex", SPIN_OFF RPC, BENCH_SHOWN, 0),
	TIME("", "rpc", "64-hot-natural", "64 B in a loop, default settings, likewise",
	     "floor/futex --bytes 64", RPC " --bytes 64", BENCH_SHOWN, 0),
	ROW("B4", "rpc", "idle-100us", "one 64 B call after 100 us of idleness, p50", FUTEX " --bytes 64", RPC " --bytes 64",
	    BENCH_IDLE_P50, BENCH_AT_MOST, 0.45, .gap_ns = 100000),
	ROW("B4", "rpc", "idle-1ms", "one 64 B call after 1 ms of idleness, p50", FUTEX " --bytes 64", RPC " --bytes 64",
	    BENCH_IDLE_P50, BENCH_AT_MOST, 0.30, .gap_ns = 1000000),
	ROW("B4", "rpc", "idle-1ms-p99", "one 64 B call after 1 ms of idleness, p99", FUTEX " --bytes 64", RPC " --bytes 64",
	    BENCH_IDLE_P99, BENCH_AT_MOST, 0.5, .gap_ns = 1000000),
	ROW("B5", "rpc", "64-loaded", "64 B call while other work keeps all processors busy", FUTEX " --bytes 64", RPC " --bytes 64",
	    BENCH_TIME, BENCH_AT_MOST, 0.5, .flags = BENCH_LOADED),
	ROW("B6", "rpc", "64-cpu", "processor time of both sides, a 64 B call, default settings", FUTEX " --bytes 64", RPC " --bytes 64",
	    BENCH_CPU, BENCH_AT_MOST, 0.6, .flags = 0),
	ROW("B6", "rpc", "64-cpu-off", "processor time of both sides, a 64 B call, spin off", FUTEX " --bytes 64",
	    SPIN_OFF RPC " --bytes 64", BENCH_CPU, BENCH_AT_MOST, 0.6, .flags = 0),
	FIGURE("B6", "rpc", "idle-wakeups", "wakeups of an idle driver and an idle client in 5 s", "ambidext/idle", BENCH_AT_MOST, 0,
	       "wakeups", "wakeups", .flags = 0),
	PEER_AT("", "fuse-uring", "FUSE over io_uring", "peers/fuse_uring", 1.1),
	PEER("vfio-user", "libvfio-user", "peers/vfio_user", 2.5),
	PEER("fuse", "FUSE", "peers/fuse", 3),
	PEER("wayland", "libwayland", "peers/wayland", 5),
	PEER("sdbus", "sd-bus peer to peer", "peers/sdbus", 6),
	PEER("dbus", "the D-Bus daemon", "peers/dbus", 15),
	PEER("capnp", "Cap'n Proto", "peers/capnp", 12),
	PEER("grpc", "gRPC", "peers/grpc", 12),
	PEER_SHOWN("zeromq", "ZeroMQ", "peers/zeromq"),
	PEER_SHOWN("nanomsg", "nanomsg", "peers/nanomsg"),
	TIME("B8", "rpc", "fuse-uring-hot", "64 B in a loop: so many times faster than FUSE over io_uring",
	     "peers/fuse_uring --bytes 64", RPC " --bytes 64", BENCH_AT_LEAST, 4),
	TIME("B8", "rpc", "sdbus-hot", "64 B in a loop: so many times faster than sd-bus peer to peer",
	     "peers/sdbus --pin two --bytes 64", RPC " --bytes 64", BENCH_AT_LEAST, 18),
	TIME("", "rpc", "spin", "64 B in a loop, against two processes that spin on a word",
	     "floor/spin --pin two --bytes 64", RPC " --bytes 64", BENCH_SHOWN, 0),
	TIME("", "rpc", "eventfd", "64 B, spin off, against shared memory and eventfds",
	     "floor/eventfd --pin two --bytes 64", SPIN_OFF RPC " --bytes 64", BENCH_SHOWN, 0),
	TIME("", "rpc", "seqpacket", "64 B, spin off, against a SEQPACKET socket",
	     "floor/seqpacket --pin two --bytes 64", SPIN_OFF RPC " --bytes 64", BENCH_SHOWN, 0),
	ROW("B16", "rpc", "soak", "calls under foreign load whose reply did not come, spin off", 0, SPIN_OFF RPC " --scalar",
	    BENCH_SOAK, BENCH_AT_MOST, 0, .unit = "lost"),
	ROW("B16", "rpc", "soak-adaptive", "calls under foreign load whose reply did not come, default settings", 0, RPC " --scalar",
	    BENCH_SOAK, BENCH_AT_MOST, 0, .unit = "lost"),

	/* ---- completions ---- */
	TIME("B9", "events", "stream", "completions of 2 words, as fast as they go: time an event", "floor/packets",
	     "ambidext/events", BENCH_AT_MOST, 0.12),
	FIGURE("B9", "events", "slow-client", "completions that a slow client missed and nobody told of", "ambidext/events --slow",
	       BENCH_AT_MOST, 0, "lost_untold", "lost", .flags = 0),
	ROW("B10", "events", "paced-1khz", "delivery of a completion, one a millisecond, p50", "floor/wake --pin two", "ambidext/paced --pin two",
	    BENCH_IDLE_P50, BENCH_AT_MOST, 1.25, .gap_ns = 1000000),
	ROW("B10", "events", "paced-8khz", "delivery of a completion, 8 a millisecond, p50", "floor/wake --pin two", "ambidext/paced --pin two",
	    BENCH_IDLE_P50, BENCH_AT_MOST, 1.25, .gap_ns = 125000),

	/* ---- USB ---- */
	TIME("B11", "usb", "transfer-1", "a null transfer, one at a time, against a null call", RPC, "usb/transfer --depth 1",
	     BENCH_AT_MOST, 1.1),
	TIME("B11", "usb", "transfer-8", "null transfers, 8 in flight, against usbredirparser", "peers/redir --depth 8",
	     "usb/transfer --depth 8", BENCH_AT_MOST, 0.45),
	TIME("B11", "usb", "transfer-64", "null transfers, 64 in flight, against usbredirparser", "peers/redir --depth 64",
	     "usb/transfer --depth 64", BENCH_AT_MOST, 0.12),
	TIME("B12", "usb", "stream-64k", "64 KiB transfers, 8 in flight, the model writes every byte, against memcpy of one processor",
	     "floor/memcpy --bytes 65536", "usb/transfer --touch --depth 8 --bytes 65536", BENCH_AT_LEAST, 0.8),
	TIME("", "usb", "stream-64k-untouched", "the same transfers when the model writes 8 bytes in 1024: the copy is the model's own",
	     "floor/memcpy --bytes 65536", "usb/transfer --depth 8 --bytes 65536", BENCH_SHOWN, 0),
	FIGURE("B13", "usb", "guest", "throughput through libusb in the test guest, of a bare libusb program's: the least",
	       "usb/guest", BENCH_AT_LEAST, 0.95, "throughput_ratio", "of bare", .flags = BENCH_OPTIONAL),
	FIGURE("B13", "usb", "guest-cpu", "processor time through libusb in the test guest, of a bare libusb program's: the most",
	       "usb/guest", BENCH_AT_MOST, 1.2, "cpu_ratio", "of bare", .flags = BENCH_OPTIONAL),

	/* ---- many ---- */
	FIGURE("B15", "scale", "idle-connection", "memory of an idle connection, of 1000, both sides and the kernel",
	       "ambidext/scale --connections 1000", BENCH_AT_MOST, 16384, "bytes_per_connection", "bytes", .flags = 0),
	TIME("B15", "scale", "among-1000", "64 B call with 1000 idle connections, spin off, against none",
	     SPIN_OFF RPC " --bytes 64", SPIN_OFF "ambidext/scale --connections 1000 --bytes 64", BENCH_AT_MOST, 1.25),
	FIGURE("", "scale", "service", "memory of a service, of 1000, driver and dextd",
	       "ambidext/scale --services 1000", BENCH_SHOWN, 0, "bytes_per_service", "bytes", .flags = 0),
	TIME("", "scale", "among-1000-services", "64 B call with 1000 services in the realm, spin off, against none",
	     SPIN_OFF RPC " --bytes 64", SPIN_OFF "ambidext/scale --services 1000 --bytes 64", BENCH_SHOWN, 0),

	/* ---- beginnings ---- */
	TIME("B14", "launch", "setup", "IOServiceOpen and IOServiceClose, against memory, 2 eventfds, passing and mapping",
	     "floor/setup", "ambidext/setup", BENCH_AT_MOST, 2.5),
	/* The same namespaces: dextd gives its drivers none yet. */
	ROW("B14", "launch", "start", "a device appears until its driver has started, against clone, exec and a first word; p50",
	    "floor/spawn", "ambidext/launch", BENCH_IDLE_P50, BENCH_AT_MOST, 2.5, .gap_ns = 1000000),
	ROW("", "launch", "start-namespaces", "the same, against clone with six namespaces of its own",
	    "floor/spawn --namespaces user,pid,mnt,net,ipc,uts", "ambidext/launch", BENCH_IDLE_P50, BENCH_SHOWN, 0, .gap_ns = 1000000),

	/* ---- instructions: what a noisy machine does not hide ---- */
	FIGURE("", "instructions", "null-client", "instructions of a null call, client", "ambidext/instructions",
	       BENCH_SHOWN, 0, "client_null", "instructions", .flags = BENCH_OPTIONAL),
	FIGURE("", "instructions", "null-driver", "instructions of a null call, driver", "ambidext/instructions",
	       BENCH_SHOWN, 0, "driver_null", "instructions", .flags = BENCH_OPTIONAL),
	FIGURE("", "instructions", "event-client", "instructions of a completion in a stream, client", "ambidext/instructions --events",
	       BENCH_SHOWN, 0, "client_event", "instructions", .flags = BENCH_OPTIONAL),
	FIGURE("", "instructions", "event-driver", "instructions of a completion in a stream, driver", "ambidext/instructions --events",
	       BENCH_SHOWN, 0, "driver_event", "instructions", .flags = BENCH_OPTIONAL),

	/* ---- for the plots ---- */
	PAYLOAD("0"), PAYLOAD("64"), PAYLOAD("256"), PAYLOAD("1024"), PAYLOAD("4096"), PAYLOAD("16384"), PAYLOAD("65536"),
	PAYLOAD("262144"), PAYLOAD("1048576"),
	DEPTH("1"), DEPTH("2"), DEPTH("4"), DEPTH("8"), DEPTH("16"), DEPTH("32"), DEPTH("64"),
};
/* clang-format on */

const unsigned bench_n_rows = sizeof bench_rows / sizeof bench_rows[0];
