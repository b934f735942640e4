/* SPDX-License-Identifier: MIT */
/* gRPC: unary calls of a synchronous server over a Unix socket. */

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "grpc_echo.grpc.pb.h"
#include "peer.h"

namespace
{

size_t n_bytes;
std::string address;
std::unique_ptr<bench::Echo::Stub> stub;

class Server final : public bench::Echo::Service
{
	grpc::Status
	Call(grpc::ServerContext *, const bench::Bytes *request, bench::Bytes *answer) override
	{
		/* Calls come one after the other, but not on one thread. */
		thread_local std::string buf;

		buf.assign(request->bytes());
		answer->set_bytes(buf.data(), buf.size());
		return grpc::Status::OK;
	}
};

int
serve(void *)
{
	Server service;
	grpc::ServerBuilder builder;

	builder.AddListeningPort(address, grpc::InsecureServerCredentials());
	builder.RegisterService(&service);
	auto server = builder.BuildAndStart();
	if (!server)
		return -EIO;
	peer_listening();
	server->Wait();
	return 0;
}

int
start(const struct peer_options *options)
{
	const char *folder = peer_folder();

	if (!folder)
		return -errno;
	n_bytes = options->bytes;
	address = std::string("unix:") + folder + "/grpc";
	/* Before the library has threads here. */
	peer_fork(serve, nullptr);
	int err = peer_await_server();
	if (err < 0)
		return err;
	stub = bench::Echo::NewStub(
		grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
	return 0;
}

int
call(const void *bytes, void *answer)
{
	grpc::ClientContext context;
	bench::Bytes request, response;

	request.set_bytes(bytes, n_bytes);
	grpc::Status status = stub->Call(&context, request, &response);
	if (!status.ok()) {
		fprintf(stderr, "grpc: %s\n", status.error_message().c_str());
		return -EIO;
	}
	if (response.bytes().size() != n_bytes)
		return -EBADMSG;
	memcpy(answer, response.bytes().data(), n_bytes);
	return 0;
}

void
stop()
{
	stub.reset();
}

} // namespace

int
main(int argc, char **argv)
{
	struct peer_ops ops = {};

	ops.name = "grpc";
	ops.start = start;
	ops.call = call;
	ops.stop = stop;
	return peer_main(argc, argv, &ops);
}
