/* SPDX-License-Identifier: MIT */
/* Cap'n Proto RPC between two parties over a socket pair. */

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>

#include "capnp_echo.capnp.h"
#include "peer.h"

namespace
{

/* What kj has in a process: its event loop. The members go away last to first. */
struct Client {
	kj::AsyncIoContext io = kj::setupAsyncIo();
	kj::Own<kj::AsyncIoStream> stream;
	capnp::TwoPartyClient rpc;
	Echo::Client echo;

	explicit Client(int fd)
	    : stream(io.lowLevelProvider->wrapSocketFd(
		      fd, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP)),
	      rpc(*stream), echo(rpc.bootstrap().castAs<Echo>())
	{
	}
};

size_t n_bytes;
int fds[2]; /* client, server; each taken by its side */
Client *client;

/* So that a message is one piece of memory from the start, as the library's manual advises. */
capnp::MessageSize
size_hint()
{
	return { 16 + n_bytes / sizeof(capnp::word), 0 };
}

class Server final : public Echo::Server
{
	kj::Array<kj::byte> buf = kj::heapArray<kj::byte>(n_bytes);

	kj::Promise<void>
	echo(EchoContext context) override
	{
		auto bytes = context.getParams().getBytes();

		KJ_REQUIRE(bytes.size() == n_bytes);
		memcpy(buf.begin(), bytes.begin(), n_bytes);
		context.getResults(size_hint()).setBytes(buf);
		return kj::READY_NOW;
	}
};

int
serve(void *)
{
	close(fds[0]);
	auto io = kj::setupAsyncIo();
	capnp::TwoPartyServer server(kj::heap<Server>());

	server.accept(io.lowLevelProvider->wrapSocketFd(
		fds[1], kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP));
	server.drain().wait(io.waitScope);
	return 0;
}

int
start(const struct peer_options *options)
{
	int err = peer_socketpair(fds);

	if (err < 0)
		return err;
	n_bytes = options->bytes;
	peer_fork(serve, nullptr);
	close(fds[1]);
	client = new Client(fds[0]);
	return 0;
}

int
try_call(const void *bytes, void *answer)
{
	auto request = client->echo.echoRequest(size_hint());

	request.setBytes(kj::arrayPtr(static_cast<const kj::byte *>(bytes), n_bytes));
	auto response = request.send().wait(client->io.waitScope);
	if (response.getBytes().size() != n_bytes)
		return -EBADMSG;
	memcpy(answer, response.getBytes().begin(), n_bytes);
	return 0;
}

int
call(const void *request, void *answer)
{
	int err = -EIO;

	auto failed = kj::runCatchingExceptions([&] { err = try_call(request, answer); });
	KJ_IF_MAYBE(exception, failed)
		fprintf(stderr, "capnp: %s\n", exception->getDescription().cStr());
	return err;
}

void
stop()
{
	delete client;
	client = nullptr;
}

} // namespace

int
main(int argc, char **argv)
{
	struct peer_ops ops = {};

	ops.name = "capnp";
	ops.start = start;
	ops.call = call;
	ops.stop = stop;
	return peer_main(argc, argv, &ops);
}
