/* A controller in C (POSIX): one thread, one client at a time.  cc -O2 -o controller controller.c -lm */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#define LINE_LIMIT 4096 /* bytes: the bridge never sends a longer line */
#define WATCHDOG 0.5    /* seconds: after a heartbeat, halt the arm if no valid line comes for this long */

/* YOUR ARM: fill in these two functions. The rest can stay as it is.
 * MOVE THE ARM HERE: to x, y, z in millimetres in its base frame, gripper "open" or "closed". Start the motion and
 * return. Do not wait for its end: the next command comes about 20 ms later and continues from there.
 * Return NULL if the arm can do it; otherwise return the reason: "out of reach". */
static const char *move(double x, double y, double z, const char *gripper) {
    printf("move x=%.3f y=%.3f z=%.3f gripper=%s\n", x, y, z, gripper);
    return NULL;
}
static void halt(const char *why) { /* HALT THE ARM HERE: hold its position, leave the gripper. */
    printf("%s\n", why);
}

/* A JSON reader for this protocol: it reads one object and keeps the members that `names` lists. */
#define STRING "\"([^\"\\[:cntrl:]]|\\\\[\"\\/bfnrtu])*\""
#define BLANKS "[ \t\r]*"
#define NUMBER "-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?"
#define MEMBER "^" BLANKS "(" STRING ")" BLANKS ":" BLANKS "(" STRING "|" NUMBER "|true|false|null|[[{])"
static regex_t pattern; /* MEMBER: group 1: name; group 3: value, or the bracket that opens a nested one */
enum { TYPE, X, Y, Z, TTL, GRIPPER, SEQ, COUNT };
static const char *const names[] = {"\"type\"", "\"x\"", "\"y\"", "\"z\"", "\"ttl\"", "\"gripper\"", "\"seq\""};
static struct text { const char *start; int length; } members[COUNT]; /* as in the line; length 0: missing */
static int is(struct text text, const char *word) {
    return text.length == (int)strlen(word) && !strncmp(text.start, word, strlen(word));
}
static int object(const char *p) { /* Finds the members of a line; returns 0 if it is not an object. */
    regmatch_t found[4];
    memset(members, 0, sizeof members);
    if (mbstowcs(NULL, p, 0) == (size_t)-1 || *(p += strspn(p, " \t\r")) != '{') return 0; /* not UTF-8, or not an object */
    for (int more = *(p += 1 + strspn(p + 1, " \t\r")) != '}'; more; p += more) {
        if (regexec(&pattern, p, 4, found, 0)) return 0;
        struct text name = {p + found[1].rm_so, found[1].rm_eo - found[1].rm_so};
        struct text value = {p + found[3].rm_so, found[3].rm_eo - found[3].rm_so};
        for (int i = 0; i < COUNT; i++) if (is(name, names[i])) members[i] = value;
        /* Skip nested values: the protocol has none. */
        int depth = *value.start == '{' || *value.start == '[', quoted = 0;
        for (p = value.start + value.length; depth && *p; p++) {
            if (quoted && *p == '\\' && p[1]) p++;
            else if (*p == '"') quoted = !quoted;
            else if (!quoted) depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        }
        more = *(p += strspn(p, " \t\r")) == ',';
    }
    return *p == '}' && !p[1 + strspn(p + 1, " \t\r")];
}
static double deadline; /* halt the arm at this time if no line comes before */
static int heartbeats;  /* whether this connection has received a heartbeat */
static double now(void) {
    struct timespec t = {0};
    return clock_gettime(CLOCK_MONOTONIC, &t), (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static double number(int i) { /* NaN if it is not a number, or too large */
    double it = members[i].length && strchr("-0123456789", *members[i].start) ? strtod(members[i].start, NULL) : NAN;
    return fabs(it) <= 1e6 ? it : NAN;
}
static const char *obey(const char *line) { /* Returns NULL or the error. Checks the whole line before acting. */
    static char problem[64];
    if (!object(line)) return "not a JSON object in UTF-8";
    const struct text type = members[TYPE];
    int command = is(type, "\"command\""), heartbeat = is(type, "\"heartbeat\""), stop = is(type, "\"stop\"");
    if (!command && !heartbeat && !stop) return "type should be \"command\", \"stop\" or \"heartbeat\"";
    for (int i = command ? X : TTL; i <= TTL; i++) {
        snprintf(problem, sizeof problem, "%s should be a number from -1e6 to 1e6", names[i]);
        if (isnan(number(i)) && (i != TTL || members[i].length)) return problem;
    }
    int open = is(members[GRIPPER], "\"open\"");
    if (command && !open && !is(members[GRIPPER], "\"closed\"")) return "gripper should be \"open\" or \"closed\"";
    heartbeats |= heartbeat; /* without heartbeats and ttl, silence is normal: a resting arm gets no commands */
    deadline = now() + (members[TTL].length ? number(TTL) / 1000 : heartbeats ? WATCHDOG : INFINITY);
    if (stop) halt("stop");
    return command ? move(number(X), number(Y), number(Z), open ? "open" : "closed") : NULL;
}
static int reply_to(int client, const char *line) { /* Replies to every line, also to a bad one. Returns 0 on failure. */
    char words[300] = "Command received", reply[800];
    const char *problem = obey(line);
    if (problem) snprintf(words, sizeof words, "%.100s, in: %.150s", problem, line);
    int n = sprintf(reply, "{\"status\":\"%s\",\"message\":\"", problem ? "error" : "ok");
    for (const char *c = words; *c; reply[n++] = *c < ' ' || *c > '~' ? '?' : *c, c++)
        if (*c == '"' || *c == '\\') reply[n++] = '\\';
    const struct text seq = members[SEQ]; /* echoed unchanged */
    int echo = seq.length && seq.length < 20 && *seq.start >= '0' && *seq.start <= '9';
    n += echo ? sprintf(reply + n, "\",\"seq\":%.*s}\n", seq.length, seq.start) : sprintf(reply + n, "\"}\n");
    return send(client, reply, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}
static volatile sig_atomic_t ending;
static void end(int number) { ending = number; }
static const char *serve(int client, int server) { /* Serves one client until it ends; returns the reason. */
    static char buffer[1 << 17], refused[] = "{\"status\":\"error\",\"message\":\"another client is served\"}\n";
    char *line, *newline;
    struct pollfd waiting[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    ssize_t got, used = 0; /* bytes of a line whose end has not arrived yet */
    for (heartbeats = 0, deadline = INFINITY; !ending;) {
        if (now() >= deadline) deadline = INFINITY, halt("halt: nothing came in time");
        if (poll(waiting, 2, 20) < 0) continue; /* ms: how often to check the deadline */
        /* Read everything before obeying the first line: a client that has gone must not move the arm. */
        while ((got = recv(client, buffer + used, sizeof buffer - (size_t)used, MSG_DONTWAIT)) > 0) used += got;
        if (!got || (errno != EAGAIN && errno != EINTR)) return "halt: the bridge has gone, or sends too fast";
        /* TCP carries bytes, not lines: one recv may return half a line, or three lines. */
        for (line = buffer; (newline = memchr(line, '\n', (size_t)used)) && newline - line <= LINE_LIMIT; line = newline) {
            for (char *c = line; c < newline; c++) if (!*c) *c = 1; /* a NUL would end the C string too early */
            *newline++ = 0;
            if (!reply_to(client, line)) return "halt: the client does not read its replies";
            used -= newline - line;
        }
        if (used > LINE_LIMIT) return "halt: a line is longer than 4096 bytes";
        memmove(buffer, line, (size_t)used);
        /* Refuse a second client now: waiting lines could move the arm after their client has gone. */
        int other = waiting[1].revents ? accept(server, NULL, NULL) : -1;
        if (other >= 0) send(other, refused, sizeof refused - 1, MSG_NOSIGNAL), close(other);
    }
    return "halt: the controller ends";
}
int main(int argc, char **argv) {
    const char *host = "127.0.0.1", *port = "5000";
    for (int i = 1; i + 1 < argc; i += 2) *(strcmp(argv[i], "--port") ? &host : &port) = argv[i + 1];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    socklen_t size = sizeof address;
    int on = 1, client, server = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || bind(server, (struct sockaddr *)&address, size) ||
        listen(server, 1) || getsockname(server, (struct sockaddr *)&address, &size))
        return perror(host), 1;
    regcomp(&pattern, MEMBER, REG_EXTENDED), setlocale(LC_CTYPE, "C.UTF-8"); /* so that mbstowcs checks for UTF-8 */
    signal(SIGINT, end), signal(SIGTERM, end), setvbuf(stdout, NULL, _IOLBF, 0);
    printf("listening on %s:%d\n", host, ntohs(address.sin_port));
    while (!ending) {
        if (poll(&(struct pollfd){server, POLLIN, 0}, 1, 20) < 1 || (client = accept(server, NULL, NULL)) < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* send replies without delay */
        halt(serve(client, server));
        close(client);
    }
}
