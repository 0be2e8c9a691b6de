/* fdstore.c - a service manager that does one thing: it keeps the descriptors that a service hands it, and gives
 * them back to the next one.
 *
 *   fdstore PROGRAM ARGUMENT...    runs it with NOTIFY_SOCKET; reads words from standard input:
 *     kill    SIGKILL, then the next one, with what was kept
 *     stop    SIGTERM, waits; exit code of the program
 * Says on standard output what it hears: "ready", "stored NAME", "removed NAME", and "more time: STATUS" when the
 * program asks for more of it while it stops. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int sock, kept = -1;
static char name[100];
static pid_t child;

static void die(const char *what)
{
	fprintf(stderr, "fdstore: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void listen_here(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(sa_family_t);
	char text[120];

	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0 ||
		bind(sock, (struct sockaddr *)&a, len) < 0) /* a name of the system's choice */
		die("socket");
	len = sizeof(a);
	if (getsockname(sock, (struct sockaddr *)&a, &len) < 0)
		die("socket");
	snprintf(text, sizeof(text), "@%.*s", (int)(len - sizeof(sa_family_t) - 1), a.sun_path + 1);
	setenv("NOTIFY_SOCKET", text, 1);
}

static void start(char **argv)
{
	char pid[20];

	child = fork();
	if (child)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kept >= 0) {
		snprintf(pid, sizeof(pid), "%d", (int)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		setenv("LISTEN_FDNAMES", name, 1);
		if (dup2(kept, 3) < 0)
			die("dup2");
	}
	execv(argv[0], argv);
	die(argv[0]);
}

static void take(struct msghdr *m, const char *text)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);
	const char *at = strstr(text, "FDNAME=");

	if (!at || !c || c->cmsg_type != SCM_RIGHTS)
		die("FDSTORE without a descriptor, or a name");
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 7, "\n"), at + 7);
	if (kept >= 0)
		close(kept);
	memcpy(&kept, CMSG_DATA(c), sizeof(kept));
	if (kept < 10) { /* out of the way of what a child is given */
		int high = fcntl(kept, F_DUPFD_CLOEXEC, 10);

		close(kept);
		kept = high;
	}
	printf("stored %s\n", name);
}

static void more_time(const char *text)
{
	const char *status = strstr(text, "STATUS=");

	if (strstr(text, "EXTEND_TIMEOUT_USEC="))
		printf("more time: %.*s\n", status ? (int)strcspn(status + 7, "\n") : 0,
			status ? status + 7 : "");
}

static void hear(void)
{
	char text[1000], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {text, sizeof(text) - 1};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);

	if (n < 0)
		die("recvmsg");
	text[n] = '\0';
	if (strstr(text, "READY=1"))
		puts("ready");
	more_time(text);
	if (strstr(text, "FDSTOREREMOVE=1"))
		printf("removed %s\n", name);
	else if (strstr(text, "FDSTORE=1"))
		take(&m, text);
	fflush(stdout);
}

static int stop(void)
{
	struct pollfd p = {.fd = sock, .events = POLLIN};
	int status;

	kill(child, SIGTERM);
	while (waitpid(child, &status, WNOHANG) == 0)
		if (poll(&p, 1, 20) > 0)
			hear();
	while (poll(&p, 1, 0) > 0)
		hear();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int main(int argc, char **argv)
{
	struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
	char word[20];

	if (argc < 2)
		return 2;
	setvbuf(stdin, NULL, _IONBF, 0);
	listen_here();
	p[1].fd = sock;
	start(argv + 1);
	for (;;) {
		if (poll(p, 2, -1) < 0)
			die("poll");
		if (p[1].revents)
			hear();
		if (!p[0].revents)
			continue;
		if (!fgets(word, sizeof(word), stdin) || !strcmp(word, "stop\n"))
			return stop();
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		start(argv + 1);
	}
}
