/* What the launcher is asked and what it answers: the other side of request.py. Part of launcher.c.
 *
 * A request is one packet: a header and fields of (tag, length, value), each value padded to 8 bytes, numbers in the
 * machine's own order, strings ending in NUL. A body too large for a packet is in a memfd, the first descriptor passed. */

enum { VERSION = 2, BODY_IN_MEMFD = 1, INLINE_MAX = 65536, BODY_MAX = 16 << 20, FDS_MAX = 250, TARGET_MAX = 65535 };

enum tag {
    ARGV = 1, ENV, CWD, V2, V1, UMASK, NICE, RLIMITS, UID, GID, GROUPS, OOM_SCORE_ADJ, FDS,
    SCHEDULER, IO_PRIORITY, CPUS, BOUNDING, AMBIENT, NO_NEW_PRIVS, OWN_PID
};
enum kind { STARTED = 1, RUNNING, FAILED };
/* In the order in which a child goes through them, after AT_CLONE. */
enum stage {
    AT_REQUEST, AT_CLONE, AT_FDS, AT_JOIN, AT_OOM_SCORE_ADJ, AT_NICE, AT_SCHEDULER, AT_IO_PRIORITY, AT_AFFINITY, AT_CHDIR,
    AT_RLIMIT, AT_BOUNDING, AT_IDS, AT_CAPABILITIES, AT_NO_NEW_PRIVS, AT_EXEC
};

struct header { uint8_t version, flags; uint16_t zero; uint32_t length; uint64_t ident; };
struct field { uint32_t tag, length; };
struct limit { int64_t resource, soft, hard; }; /* -1 is RLIM_INFINITY */
struct scheduler { int32_t policy, priority; };
struct answer { uint8_t version, kind, stage, zero; int32_t pid, error; uint32_t zero2; uint64_t ident; };

struct spawn {
    uint32_t given; /* 1 << tag, for each field that came */
    char **argv, **env, **v1, *cwd, *v2;
    char **own_pid; /* variables of `env` whose value the child writes over with its pid: there is room for ten digits */
    int32_t umask, nice, oom_score_adj, io_priority;
    struct scheduler scheduler;
    uint32_t uid, gid;
    const struct limit *limits;
    const gid_t *groups;
    const uint64_t *cpus;       /* a mask in words of 64 */
    uint64_t bounding, ambient; /* 1 << capability */
    const int32_t *targets; /* sources[i] becomes descriptor targets[i] of the worker */
    size_t limits_count, groups_count, targets_count, cpus_count;
    const int *sources;
    int report;  /* the child's end of its error pipe */
    bool joined; /* born in the v2 group */
};

static bool has(const struct spawn *s, enum tag tag) { return s->given & 1u << tag; }

/* NUL-terminated strings, one after the other -> a list that ends in NULL; NULL when they are not that. */
static char **split(char *text, size_t length)
{
    size_t count = 0;
    if (length && text[length - 1])
        return NULL;
    for (size_t i = 0; i < length; i++)
        count += !text[i];
    char **list = calloc(count + 1, sizeof *list);
    for (size_t i = 0; list && i < count; i++, text += strlen(text) + 1)
        list[i] = text;
    return list;
}

/* A single string: exactly one NUL, at the end. */
static char *single(char *text, size_t length)
{
    return length && memchr(text, 0, length) == text + length - 1 ? text : NULL;
}

static bool exactly(void *to, size_t size, const char *value, size_t length)
{
    if (length != size)
        return false;
    memcpy(to, value, size);
    return true;
}

static bool array(const void **to, size_t *count, size_t each, const char *value, size_t length)
{
    *to = value;
    *count = length / each;
    return length % each == 0;
}

static bool take_field(struct spawn *s, uint32_t tag, char *value, size_t length)
{
    if (tag < ARGV || tag > OWN_PID || s->given & 1u << tag)
        return false;
    s->given |= 1u << tag;
    switch ((enum tag)tag) {
    case ARGV: return (s->argv = split(value, length)) && s->argv[0];
    case ENV: return (s->env = split(value, length));
    case V1: return (s->v1 = split(value, length));
    case CWD: return (s->cwd = single(value, length));
    case V2: return (s->v2 = single(value, length));
    case UMASK: return exactly(&s->umask, sizeof s->umask, value, length);
    case NICE: return exactly(&s->nice, sizeof s->nice, value, length);
    case OOM_SCORE_ADJ: return exactly(&s->oom_score_adj, sizeof s->oom_score_adj, value, length);
    case UID: return exactly(&s->uid, sizeof s->uid, value, length);
    case GID: return exactly(&s->gid, sizeof s->gid, value, length);
    case RLIMITS: return array((const void **)&s->limits, &s->limits_count, sizeof *s->limits, value, length);
    case GROUPS: return array((const void **)&s->groups, &s->groups_count, sizeof *s->groups, value, length);
    case CPUS: return array((const void **)&s->cpus, &s->cpus_count, sizeof *s->cpus, value, length);
    case SCHEDULER: return exactly(&s->scheduler, sizeof s->scheduler, value, length);
    case IO_PRIORITY: return exactly(&s->io_priority, sizeof s->io_priority, value, length);
    case BOUNDING: return exactly(&s->bounding, sizeof s->bounding, value, length);
    case AMBIENT: return exactly(&s->ambient, sizeof s->ambient, value, length);
    case NO_NEW_PRIVS: return !length;
    case OWN_PID: return (s->own_pid = split(value, length));
    case FDS: return array((const void **)&s->targets, &s->targets_count, sizeof *s->targets, value, length);
    }
    return false;
}

/* False: malformed. Values stay in `body`; the lists are freed by the caller. */
static bool parse(struct spawn *s, char *body, size_t length, size_t fds_count)
{
    for (size_t at = 0; at < length;) {
        struct field f;
        if (length - at < sizeof f)
            return false;
        memcpy(&f, body + at, sizeof f);
        at += sizeof f;
        if (f.length > length - at || !take_field(s, f.tag, body + at, f.length))
            return false;
        size_t padded = ((size_t)f.length + 7) & ~(size_t)7;
        at += padded < length - at ? padded : length - at;
    }
    for (size_t i = 0; i < s->targets_count; i++)
        if (s->targets[i] < 0 || s->targets[i] > TARGET_MAX)
            return false;
    return has(s, ARGV) && has(s, ENV) && s->targets_count == fds_count;
}

static char *map_body(int fd, size_t length)
{
    struct stat st;
    if (!length || length > BODY_MAX || fstat(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < length)
        return NULL;
    char *body = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    return body == MAP_FAILED ? NULL : body;
}
