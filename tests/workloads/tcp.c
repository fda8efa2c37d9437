// SPDX-License-Identifier: Apache-2.0
/*
 * tcp talk ADDRESS PORT CONNECTIONS BYTES: one connection after the other sends BYTES, BYTES + 1 ... and is
 * answered by half as many. With --serve a child serves. Prints connections, sent, received, server; and of
 * each connection connect_ns and rtt_ns, the kernel's smoothed round trip at its end.
 * tcp serve ADDRESS PORT: answers for ever; with --slow MS it waits before each accept().
 * tcp refused|reset|timeout|giveup ADDRESS PORT N: N connections to a port where nobody listens; that send
 * 1000 bytes and are reset; of which nobody answers the SYN and its repetition; likewise, closed after 1.3 s.
 * Prints failed: how many ended as they should.
 * tcp overflow ADDRESS PORT BACKLOG N: N connections to a listener that accepts none.
 * tcp hold ADDRESS PORT BYTES: a connection sends BYTES before "ready" and twice as many after the word to
 * go, and closes at the second.
 */
#include "workload.h"
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define MANY 256

static struct addrinfo *address;
static char bytes[1 << 16];

static void resolve(const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};

	if (getaddrinfo(host, port, &hints, &address))
		work__fail(host);
}

static int new_socket(int flags)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	if (fd < 0)
		work__fail("socket");
	return fd;
}

static int connected(void)
{
	int fd = new_socket(0);

	if (connect(fd, address->ai_addr, address->ai_addrlen))
		work__fail("connect");
	return fd;
}

static int begun(int syn_count)
{
	int fd = new_socket(SOCK_NONBLOCK);

	if (syn_count)
		setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &syn_count, sizeof(syn_count));
	if (connect(fd, address->ai_addr, address->ai_addrlen) && errno != EINPROGRESS)
		work__fail("connect");
	return fd;
}

static int listening(int backlog)
{
	int fd = new_socket(0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address->ai_addr, address->ai_addrlen) || listen(fd, backlog))
		work__fail("listen");
	return fd;
}

static void send_all(int fd, size_t size)
{
	while (size) {
		ssize_t n = send(fd, bytes, size < sizeof(bytes) ? size : sizeof(bytes), MSG_NOSIGNAL);

		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return; /* the other end has reset it */
		if (n < 0)
			work__fail("send");
		size -= (size_t)n;
	}
}

static uint64_t read_all(int fd)
{
	uint64_t sum = 0;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		sum += (uint64_t)n;
	return sum;
}

static void serve(int listener, uint64_t wait_ns)
{
	for (;;) {
		int fd;

		if (wait_ns)
			work__sleep_ns(wait_ns);
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			work__fail("accept");
		send_all(fd, read_all(fd) / 2);
		close(fd);
	}
}

static uint64_t rtt_ns(int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		work__fail("TCP_INFO");
	return info.tcpi_rtt * 1000ULL;
}

static int talk(long count, long size, bool with_server)
{
	uint64_t sent = 0, received = 0;
	int listener = with_server ? listening(128) : -1;
	pid_t server = 0;

	if (with_server) {
		server = fork();
		if (!server)
			serve(listener, 0);
		close(listener);
	}
	for (long i = 0; i < count; i++) {
		uint64_t begun_ns = work__clock_ns(CLOCK_MONOTONIC);
		int fd = connected();

		printf("connect_ns %llu\n", (unsigned long long)(work__clock_ns(CLOCK_MONOTONIC) - begun_ns));
		send_all(fd, (size_t)(size + i));
		shutdown(fd, SHUT_WR);
		sent += (uint64_t)(size + i);
		received += read_all(fd);
		printf("rtt_ns %llu\n", (unsigned long long)rtt_ns(fd));
		close(fd);
	}
	printf("connections %ld\nsent %llu\nreceived %llu\nserver %d\n", count, (unsigned long long)sent,
	       (unsigned long long)received, (int)server);
	if (server) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	return 0;
}

static int refused(long count)
{
	long failed = 0;

	for (long i = 0; i < count; i++) {
		int fd = new_socket(0);

		failed += connect(fd, address->ai_addr, address->ai_addrlen) && errno == ECONNREFUSED;
		close(fd);
	}
	printf("failed %ld\n", failed);
	return failed != count;
}

static int reset(long count)
{
	const struct linger at_once = {.l_onoff = 1};

	for (long i = 0; i < count; i++) {
		int fd = connected();

		send_all(fd, 1000);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
	}
	printf("failed %ld\n", count);
	return 0;
}

/* All at a time: each takes as long. */
static int unanswered(long count, bool patient)
{
	struct pollfd fds[MANY];
	long failed = 0;

	for (long i = 0; i < count && i < MANY; i++)
		fds[i] = (struct pollfd){.fd = begun(patient ? 1 : 0), .events = POLLOUT};
	if (!patient)
		work__sleep_ns(1300 * NSEC_PER_MS);
	for (long i = 0; i < count && i < MANY; i++) {
		int error = 0;
		socklen_t size = sizeof(error);

		if (patient) {
			poll(&fds[i], 1, -1);
			getsockopt(fds[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
		}
		failed += error == (patient ? ETIMEDOUT : 0);
		close(fds[i].fd);
	}
	printf("failed %ld\n", failed);
	return failed != count;
}

static int overflow(long backlog, long count)
{
	int listener = listening((int)backlog), fds[MANY];

	for (long i = 0; i < count && i < MANY; i++)
		fds[i] = begun(0);
	work__sleep_ns(300 * NSEC_PER_MS);
	printf("waiting %ld\n", count);
	work__ready(false);
	for (long i = 0; i < count && i < MANY; i++)
		close(fds[i]);
	return close(listener);
}

static int hold(long size, bool now)
{
	int fd = connected();

	send_all(fd, (size_t)size);
	work__ready(now);
	send_all(fd, (size_t)(2 * size));
	printf("sent %ld\n", 2 * size);
	work__ready(now);
	return close(fd);
}

int main(int argc, char **argv)
{
	bool now = work__flag(&argc, argv, "--now"), with_server = work__flag(&argc, argv, "--serve");
	const char *slow = work__option(&argc, argv, "--slow"), *what = argc > 3 ? argv[1] : "";
	int listener;

	if (argc < 4) {
		fprintf(stderr, "usage: tcp WHAT ADDRESS PORT [...]\n");
		return 2;
	}
	resolve(argv[2], argv[3]);
	if (!strcmp(what, "serve")) {
		listener = listening(128);
		work__ready(true);
		serve(listener, slow ? (uint64_t)work__number(slow) * NSEC_PER_MS : 0);
	}
	if (!strcmp(what, "hold"))
		return hold(work__number(argv[4]), now);
	work__ready(now);
	if (!strcmp(what, "talk"))
		return talk(work__number(argv[4]), work__number(argv[5]), with_server);
	if (!strcmp(what, "refused"))
		return refused(work__number(argv[4]));
	if (!strcmp(what, "reset"))
		return reset(work__number(argv[4]));
	if (!strcmp(what, "timeout") || !strcmp(what, "giveup"))
		return unanswered(work__number(argv[4]), !strcmp(what, "timeout"));
	if (!strcmp(what, "overflow"))
		return overflow(work__number(argv[4]), work__number(argv[5]));
	return 2;
}
