/*
 * The load of the end-to-end benchmarks: servers on the host's loopback, and clients that are run in the guest.
 *
 *   load serve PORT STATS                   the servers, until a signal; prints "ready"
 *   load tcp-up|tcp-down HOST PORT STATS STREAMS SECONDS
 *   load rr|crr|udp-rr HOST PORT SECONDS    request and answer of a byte; crr: each on a connection of its own
 *   load connect HOST PORT THREADS SECONDS
 *   load udp-up|udp-down HOST PORT STATS SIZE SECONDS
 *   load hold HOST PORT COUNT               idle connections, until standard input ends; prints "ready"
 *   load offer-unix SOCKET, load offer-tap NAME
 *                                           asks by DHCP until there is an offer; prints CLOCK_MONOTONIC in ns
 *
 * PORT is the echo, TCP and UDP; PORT+1 takes all, PORT+2 gives without end, PORT+3 closes what it accepts. Guest and
 * host are the same machine, so whoever receives counts in STATS, a mapped file, and the client samples it: what was
 * received is measured, without a word on the wire. A measurement prints one line of JSON. Connections end by reset
 * (SO_LINGER of 0): no TIME-WAIT of the guest then limits how many can be made.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ECHO = 0, SINK = 1, SOURCE = 2, CLOSER = 3 };
enum { CHUNK = 131072, DATAGRAMS = 32, DATAGRAM_SIZE = 2048, MAX_THREADS = 64, FRAME = 350, PREFIX = 4 };
/* Of each measurement: slow start, and the caches of the first packets. */
static const double omitted_seconds = 0.5;

struct stats {
	_Atomic uint64_t tcp_bytes_to_host, tcp_bytes_to_guest, datagrams_to_host, datagrams_to_guest;
};
static struct stats *stats;
static const char *host;
static int port;
static double end_at;
static _Atomic uint64_t done, failed;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double now(void)
{
	return (double)now_ns() * 1e-9;
}

static void map_stats(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, sizeof *stats) < 0)
		fail(path);
	stats = mmap(NULL, sizeof *stats, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (stats == MAP_FAILED)
		fail(path);
	close(fd);
}

static void detached(void *(*body)(void *), void *argument)
{
	pthread_t thread;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 262144);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &small, body, argument) != 0)
		fail("pthread_create");
}

static void no_delay(int fd)
{
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void reset_at_close(int fd)
{
	struct linger now_please = { 1, 0 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now_please, sizeof now_please);
}

static int listen_on(int which, int type)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(port + which)) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1, room = 4 << 20;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		fail("bind");
	if (type == SOCK_STREAM && listen(fd, 4096) < 0)
		fail("listen");
	return fd;
}

static int connect_to(int which, int type)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(port + which)) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, host, &to.sin_addr);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		close(fd);
		return -1;
	}
	if (fd >= 0 && type == SOCK_STREAM) {
		no_delay(fd);
		reset_at_close(fd);
	}
	return fd;
}

/* The servers. */

static void *tcp_echo(void *unused)
{
	static char buffer[65536];
	struct epoll_event event = { .events = EPOLLIN }, ready[256];
	int listener = listen_on(ECHO, SOCK_STREAM), poller = epoll_create1(EPOLL_CLOEXEC);
	(void)unused;
	event.data.fd = listener;
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int count = epoll_wait(poller, ready, 256, -1);
		for (int i = 0; i < count; i++) {
			int fd = ready[i].data.fd;
			if (fd == listener) {
				int accepted = accept(listener, NULL, NULL);
				if (accepted < 0)
					continue;
				no_delay(accepted);
				event.data.fd = accepted;
				epoll_ctl(poller, EPOLL_CTL_ADD, accepted, &event);
				continue;
			}
			ssize_t got = read(fd, buffer, sizeof buffer);
			if (got <= 0 || write(fd, buffer, (size_t)got) != got)
				close(fd);
		}
	}
	return NULL;
}

static void *take_all(void *fd_as_pointer)
{
	int fd = (int)(intptr_t)fd_as_pointer;
	char *buffer = malloc(CHUNK);
	ssize_t got;
	while ((got = read(fd, buffer, CHUNK)) > 0)
		stats->tcp_bytes_to_host += (uint64_t)got;
	close(fd);
	free(buffer);
	return NULL;
}

static void *give_without_end(void *fd_as_pointer)
{
	int fd = (int)(intptr_t)fd_as_pointer;
	char *buffer = calloc(1, CHUNK);
	while (write(fd, buffer, CHUNK) > 0)
		;
	close(fd);
	free(buffer);
	return NULL;
}

static void *close_at_once(void *fd_as_pointer)
{
	close((int)(intptr_t)fd_as_pointer);
	return NULL;
}

static void *accept_loop(void *which_as_pointer)
{
	int which = (int)(intptr_t)which_as_pointer, listener = listen_on(which, SOCK_STREAM);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		if (which == CLOSER)
			close_at_once((void *)(intptr_t)fd);
		else
			detached(which == SINK ? take_all : give_without_end, (void *)(intptr_t)fd);
	}
	return NULL;
}

static void *udp_echo(void *unused)
{
	static char buffer[65536];
	int fd = listen_on(ECHO, SOCK_DGRAM);
	(void)unused;
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof from;
		ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &len);
		if (got >= 0)
			sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

/* Counts in `counter` what `fd` receives; ends with the socket or at end_at, if that is set. */
static void count_datagrams(int fd, _Atomic uint64_t *counter)
{
	static char buffers[DATAGRAMS][DATAGRAM_SIZE];
	static struct iovec parts[DATAGRAMS];
	static struct mmsghdr messages[DATAGRAMS];
	for (int i = 0; i < DATAGRAMS; i++) {
		parts[i] = (struct iovec){ buffers[i], DATAGRAM_SIZE };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (end_at == 0 || now() < end_at) {
		int got = recvmmsg(fd, messages, DATAGRAMS, MSG_WAITFORONE, NULL);
		if (got > 0)
			*counter += (uint64_t)got;
	}
}

static void *udp_sink(void *unused)
{
	(void)unused;
	count_datagrams(listen_on(SINK, SOCK_DGRAM), &stats->datagrams_to_host);
	return NULL;
}

struct order {
	uint32_t size;
	double seconds;
};

/* Who asks gets datagrams as fast as send() goes, one a call, for as long as was asked for. */
static void *udp_source(void *unused)
{
	static char buffer[65536];
	int fd = listen_on(SOURCE, SOCK_DGRAM);
	(void)unused;
	for (;;) {
		struct order order;
		struct sockaddr_in from;
		socklen_t len = sizeof from;
		if (recvfrom(fd, &order, sizeof order, 0, (struct sockaddr *)&from, &len) != sizeof order)
			continue;
		for (double until = now() + order.seconds; now() < until;)
			for (int i = 0; i < DATAGRAMS; i++)
				sendto(fd, buffer, order.size, 0, (struct sockaddr *)&from, len);
	}
	return NULL;
}

static void serve(void)
{
	detached(tcp_echo, NULL);
	for (intptr_t which = SINK; which <= CLOSER; which++)
		detached(accept_loop, (void *)which);
	detached(udp_echo, NULL);
	detached(udp_sink, NULL);
	detached(udp_source, NULL);
	usleep(100000); /* all listen by then */
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

/* The clients. */

/* Samples a counter over `seconds`, prints what it gained a second and in all, and ends the process. */
static void sample(_Atomic uint64_t *counter, double seconds)
{
	uint64_t first = *counter, before, after;
	usleep((useconds_t)(omitted_seconds * 1e6));
	before = *counter;
	double began = now();
	usleep((useconds_t)(seconds * 1e6));
	after = *counter;
	double took = now() - began;
	printf("{\"perSecond\": %.1f, \"total\": %llu}\n", (double)(after - before) / took,
	       (unsigned long long)(after - first));
	fflush(stdout);
	_exit(0); /* not exit(): threads are in the middle of calls; the kernel resets their connections */
}

static void *send_without_end(void *unused)
{
	int fd = connect_to(SINK, SOCK_STREAM);
	char *buffer = calloc(1, CHUNK);
	(void)unused;
	if (fd < 0)
		fail("connect");
	while (write(fd, buffer, CHUNK) > 0)
		;
	return NULL;
}

static void *receive_without_end(void *unused)
{
	int fd = connect_to(SOURCE, SOCK_STREAM);
	char *buffer = malloc(CHUNK);
	ssize_t got;
	(void)unused;
	if (fd < 0)
		fail("connect");
	while ((got = read(fd, buffer, CHUNK)) > 0)
		stats->tcp_bytes_to_guest += (uint64_t)got;
	return NULL;
}

static void bulk(int is_up, int streams, double seconds)
{
	for (int i = 0; i < streams; i++)
		detached(is_up ? send_without_end : receive_without_end, NULL);
	sample(is_up ? &stats->tcp_bytes_to_host : &stats->tcp_bytes_to_guest, seconds);
}

static int compare_floats(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return x < y ? -1 : x > y;
}

static void print_rate(float *microseconds, size_t count, double took, size_t lost)
{
	if (count == 0) {
		printf("{\"perSecond\": 0, \"lost\": %zu}\n", lost);
		return;
	}
	qsort(microseconds, count, sizeof *microseconds, compare_floats);
	printf("{\"perSecond\": %.1f, \"medianUs\": %.1f, \"p99Us\": %.1f, \"total\": %zu, \"lost\": %zu}\n",
	       (double)count / took, microseconds[count / 2], microseconds[(size_t)((double)count * 0.99)], count, lost);
}

/* A byte there and a byte back. Returns 0 when no answer came within a second. */
static int echo_byte(int fd)
{
	char byte = 1;
	return write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1;
}

static int patient(int fd)
{
	struct timeval second = { 1, 0 };
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
	return fd;
}

static void request_response(int type, int is_connection_each, double seconds)
{
	enum { MOST = 4000000 };
	float *microseconds = malloc(MOST * sizeof(float));
	size_t count = 0, lost = 0;
	int fd = is_connection_each ? -1 : patient(connect_to(ECHO, type));
	double began = now(), until = began + seconds;
	if (!is_connection_each && fd < 0)
		fail("connect");
	while (count < MOST) {
		double asked = now();
		if (asked >= until)
			break;
		if (is_connection_each)
			fd = patient(connect_to(ECHO, type));
		if (fd >= 0 && echo_byte(fd))
			microseconds[count++] = (float)((now() - asked) * 1e6);
		else
			lost++;
		if (is_connection_each && fd >= 0)
			close(fd);
	}
	print_rate(microseconds, count, now() - began, lost);
}

static void *connect_again(void *unused)
{
	(void)unused;
	while (now() < end_at) {
		int fd = connect_to(CLOSER, SOCK_STREAM);
		if (fd >= 0) {
			close(fd);
			done++;
		} else {
			failed++;
			usleep(1000);
		}
	}
	return NULL;
}

static void connect_in_parallel(int threads, double seconds)
{
	pthread_t each[MAX_THREADS];
	double began = now();
	end_at = began + seconds;
	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	for (int i = 0; i < threads; i++)
		pthread_create(&each[i], NULL, connect_again, NULL);
	for (int i = 0; i < threads; i++)
		pthread_join(each[i], NULL);
	printf("{\"perSecond\": %.1f, \"total\": %llu, \"lost\": %llu}\n", (double)done / (now() - began),
	       (unsigned long long)done, (unsigned long long)failed);
}

static void *blast(void *size_as_pointer)
{
	static char buffer[65536];
	static struct mmsghdr messages[DATAGRAMS];
	struct iovec part = { buffer, (size_t)(intptr_t)size_as_pointer };
	int fd = connect_to(SINK, SOCK_DGRAM), room = 4 << 20;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
	for (int i = 0; i < DATAGRAMS; i++) {
		messages[i].msg_hdr.msg_iov = &part;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;)
		sendmmsg(fd, messages, DATAGRAMS, 0);
	return NULL;
}

static void *receive_datagrams(void *fd_as_pointer)
{
	count_datagrams((int)(intptr_t)fd_as_pointer, &stats->datagrams_to_guest);
	return NULL;
}

static void udp_bulk(int is_up, int size, double seconds)
{
	if (is_up) {
		detached(blast, (void *)(intptr_t)size);
		sample(&stats->datagrams_to_host, seconds);
	}
	struct order order = { (uint32_t)size, seconds + omitted_seconds };
	int fd = connect_to(SOURCE, SOCK_DGRAM), room = 4 << 20;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
	detached(receive_datagrams, (void *)(intptr_t)fd);
	if (write(fd, &order, sizeof order) != sizeof order)
		fail("write");
	sample(&stats->datagrams_to_guest, seconds);
}

static void hold(int count)
{
	char byte;
	for (int i = 0; i < count; i++) {
		int fd = connect_to(ECHO, SOCK_STREAM);
		if (fd < 0 || !echo_byte(patient(fd))) {
			fprintf(stderr, "load: connection %d of %d: %s\n", i + 1, count, strerror(errno));
			exit(1);
		}
	}
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
}

/* DHCP, to see when an engine is there. */

static const uint8_t xid[4] = { 0x75, 0x6e, 0x65, 0x74 };

/* DHCPDISCOVER in `frame`, FRAME bytes; without a UDP checksum, which IPv4 allows. */
static void make_discover(uint8_t *frame)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
	uint8_t *ip = frame + 14, *udp = ip + 20, *bootp = udp + 8;
	uint32_t sum = 0;
	memset(frame, 0, FRAME);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, mac, 6);
	frame[12] = 0x08;
	memcpy(ip, (uint8_t[]){ 0x45, 0, (FRAME - 14) >> 8, (FRAME - 14) & 255, 0, 0, 0, 0, 64, 17 }, 10);
	memset(ip + 16, 0xff, 4);
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = (uint8_t)~(sum >> 8);
	ip[11] = (uint8_t)~sum;
	memcpy(udp, (uint8_t[]){ 0, 68, 0, 67, (FRAME - 34) >> 8, (FRAME - 34) & 255 }, 6);
	memcpy(bootp, (uint8_t[]){ 1, 1, 6, 0 }, 4);
	memcpy(bootp + 4, xid, 4);
	memcpy(bootp + 28, mac, 6);
	memcpy(bootp + 236, (uint8_t[]){ 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255 }, 8);
}

static int is_offer(const uint8_t *frame, ssize_t len)
{
	return len >= 50 && frame[12] == 0x08 && frame[13] == 0 && frame[23] == 17 && frame[37] == 68 &&
	       frame[42] == 2 && memcmp(frame + 46, xid, 4) == 0;
}

/* Sends on `fd` every 2 ms until an offer comes. On a stream each frame has QEMU's length before it. */
static void ask_until_offered(int fd, int is_stream)
{
	uint8_t out[PREFIX + FRAME] = { 0, 0, FRAME >> 8, FRAME & 255 }, in[65536];
	struct timeval patience = { 0, 2000 };
	int skip = is_stream ? 0 : PREFIX;
	make_discover(out + PREFIX);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	for (int attempts = 0; attempts < 5000; attempts++) {
		if (send(fd, out + skip, sizeof out - (size_t)skip, MSG_NOSIGNAL) < 0 && errno != ENETDOWN)
			fail("send");
		ssize_t got = recv(fd, in, sizeof in, 0);
		if (is_stream ? is_offer(in + PREFIX, got - PREFIX) : is_offer(in, got)) {
			printf("%llu\n", (unsigned long long)now_ns());
			exit(0);
		}
	}
	fprintf(stderr, "load: no offer\n");
	exit(1);
}

static void offer_unix(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	strncpy(to.sun_path, path, sizeof to.sun_path - 1);
	for (int attempts = 0; attempts < 10000; attempts++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
			ask_until_offered(fd, 1);
		close(fd);
		usleep(1000);
	}
	fail(path);
}

static void offer_tap(const char *name)
{
	struct ifreq request = { 0 };
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	for (int attempts = 0; (to.sll_ifindex = (int)if_nametoindex(name)) == 0; attempts++) {
		if (attempts > 10000)
			fail(name);
		usleep(1000);
	}
	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	request.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) < 0)
		fail(name);
	ask_until_offered(fd, 0);
}

static void client(const char *mode, char **rest, int count)
{
	int is_up = strstr(mode, "-up") != NULL;
	if (!strcmp(mode, "hold") && count == 1)
		hold(atoi(rest[0]));
	else if (!strcmp(mode, "connect") && count == 2)
		connect_in_parallel(atoi(rest[0]), atof(rest[1]));
	else if (strstr(mode, "rr") && count == 1)
		request_response(mode[0] == 'u' ? SOCK_DGRAM : SOCK_STREAM, mode[0] == 'c', atof(rest[0]));
	else if (count == 3 && (map_stats(rest[0]), mode[0] == 'u'))
		udp_bulk(is_up, atoi(rest[1]), atof(rest[2]));
	else if (count == 3)
		bulk(is_up, atoi(rest[1]), atof(rest[2]));
	else
		exit(2);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 3 && !strcmp(argv[1], "offer-unix"))
		offer_unix(argv[2]);
	else if (argc == 3 && !strcmp(argv[1], "offer-tap"))
		offer_tap(argv[2]);
	else if (argc == 4 && !strcmp(argv[1], "serve")) {
		port = atoi(argv[2]);
		map_stats(argv[3]);
		serve();
	} else if (argc >= 5) {
		host = argv[2];
		port = atoi(argv[3]);
		client(argv[1], argv + 4, argc - 4);
	} else {
		fprintf(stderr, "usage: at the head of load.c\n");
		return 2;
	}
	return 0;
}
