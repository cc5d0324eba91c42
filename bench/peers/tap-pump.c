/*
 * A guest for the benchmarks: a TAP device in the current network namespace, joined to an engine's unix stream socket
 * in QEMU's framing (4-byte big-endian length before each frame). Linux's own TCP sits behind the TAP.
 *
 *   tap-pump NAME SOCKET     NAME: the TAP to make; SOCKET: where the engine listens
 *
 * Prints "ready" and pumps until either side ends. Two threads, one for each direction. Frames that wait in the TAP are
 * gathered into one write of up to BATCH bytes. For two seconds it tries again to connect: some engines make their
 * socket's name before they listen.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BATCH = 262144, MAX_FRAME = 65553, PREFIX = 4 };

static int tap, engine;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void write_all(int fd, const uint8_t *from, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, from, len);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			exit(0);
		from += done;
		len -= (size_t)done;
	}
}

/* Guest to engine. */
static void *tap_to_engine(void *unused)
{
	uint8_t *batch = malloc(BATCH + PREFIX + MAX_FRAME);
	struct pollfd readable = { .fd = tap, .events = POLLIN };
	(void)unused;
	for (;;) {
		size_t used = 0;
		while (used < BATCH) {
			ssize_t len = read(tap, batch + used + PREFIX, MAX_FRAME);
			if (len <= 0)
				break;
			uint32_t prefix = htonl((uint32_t)len);
			memcpy(batch + used, &prefix, PREFIX);
			used += PREFIX + (size_t)len;
		}
		if (used > 0)
			write_all(engine, batch, used);
		else
			poll(&readable, 1, -1);
	}
}

/* Engine to guest. */
static void *engine_to_tap(void *unused)
{
	uint8_t *buffer = malloc(BATCH + PREFIX + MAX_FRAME);
	size_t used = 0;
	(void)unused;
	for (;;) {
		ssize_t got = read(engine, buffer + used, BATCH + PREFIX + MAX_FRAME - used);
		if (got <= 0)
			exit(0);
		used += (size_t)got;
		size_t at = 0;
		while (used - at >= PREFIX) {
			uint32_t len;
			memcpy(&len, buffer + at, PREFIX);
			len = ntohl(len);
			if (len > MAX_FRAME) {
				fprintf(stderr, "tap-pump: a frame of %u bytes\n", len);
				exit(1);
			}
			if (used - at < PREFIX + len)
				break;
			while (write(tap, buffer + at + PREFIX, len) < 0 && errno == EAGAIN) {
				struct pollfd writable = { .fd = tap, .events = POLLOUT };
				poll(&writable, 1, -1);
			}
			at += PREFIX + len;
		}
		memmove(buffer, buffer + at, used - at);
		used -= at;
	}
}

int main(int argc, char **argv)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t up, down;

	if (argc != 3) {
		fprintf(stderr, "usage: tap-pump NAME SOCKET\n");
		return 2;
	}
	tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	if (tap < 0)
		fail("/dev/net/tun");
	strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
	if (ioctl(tap, TUNSETIFF, &request) < 0)
		fail("TUNSETIFF");
	engine = socket(AF_UNIX, SOCK_STREAM, 0);
	strncpy(address.sun_path, argv[2], sizeof address.sun_path - 1);
	for (int attempts = 0; connect(engine, (struct sockaddr *)&address, sizeof address) < 0; attempts++) {
		if (attempts >= 200)
			fail(argv[2]);
		usleep(10000);
	}
	pthread_create(&up, NULL, tap_to_engine, NULL);
	pthread_create(&down, NULL, engine_to_tap, NULL);
	puts("ready");
	fflush(stdout);
	pthread_join(up, NULL);
	pthread_join(down, NULL);
	return 0;
}
