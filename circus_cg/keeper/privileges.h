/* What a worker may do: its share of the CPUs, its ids, its capabilities. Steps of a child in set-up, each of which gives
 * an errno or 0. Part of launcher.c; privileges.py and fork.py do the same. */

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>

/* The kernel's own calls: musl's sched_setscheduler only says ENOSYS, and nobody wraps ioprio_set. */
static int schedule(struct spawn *s)
{
    int policy = s->scheduler.policy;
    return has(s, SCHEDULER) && syscall(SYS_sched_setscheduler, 0, policy, &s->scheduler.priority) ? errno : 0;
}

static int set_io_priority(struct spawn *s)
{
    return has(s, IO_PRIORITY) && syscall(SYS_ioprio_set, 1 /* a process */, 0, s->io_priority) ? errno : 0;
}

static int pin(struct spawn *s)
{
    return has(s, CPUS) && syscall(SYS_sched_setaffinity, 0, s->cpus_count * sizeof *s->cpus, s->cpus) ? errno : 0;
}

/* Before the ids go, for it takes CAP_SETPCAP. The kernel says EINVAL after the last capability it knows. */
static int bound_capabilities(struct spawn *s)
{
    for (int cap = 0, there; has(s, BOUNDING) && cap < 64; cap++) {
        if ((there = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) < 0)
            break;
        if (there && !(s->bounding >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
            return errno;
    }
    return 0;
}

static int drop_ids(struct spawn *s)
{
    uid_t real, effective, saved;
    if (s->ambient && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)) /* what the ids would take with them; exec ends this */
        return errno;
    if (has(s, GROUPS) && setgroups(s->groups_count, s->groups))
        return errno;
    if (has(s, GID) && setresgid(s->gid, s->gid, s->gid))
        return errno;
    if (!has(s, UID))
        return 0;
    if (setresuid(s->uid, s->uid, s->uid) || getresuid(&real, &effective, &saved))
        return errno;
    if (real != s->uid || effective != s->uid || saved != s->uid)
        return EPERM;
    return s->uid != 0 && setuid(0) == 0 ? EPERM : 0; /* a way back to root is a privilege not dropped */
}

/* Whoever has left root, or asked for ambient capabilities, keeps these and no other: not even inheritable ones, which
 * a file's capabilities could wake. A root worker is bounded by the bounding set and by what it could inherit beyond. */
static int set_capabilities(struct spawn *s)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2];
    bool exact = has(s, AMBIENT) || (has(s, UID) && s->uid != 0);
    if (!exact && !has(s, BOUNDING))
        return 0;
    if (syscall(SYS_capget, &head, sets))
        return errno;
    for (int i = 0; i < 2; i++)
        if (exact)
            sets[i].effective = sets[i].permitted = sets[i].inheritable = (uint32_t)(s->ambient >> 32 * i);
        else
            sets[i].inheritable &= (uint32_t)(s->bounding >> 32 * i);
    if (syscall(SYS_capset, &head, sets)) /* the kernel takes from the ambient set what is no longer in these */
        return errno;
    for (int cap = 0; cap < 64; cap++)
        if (s->ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0))
            return errno;
    return 0;
}

static int forbid_new_privileges(struct spawn *s)
{
    return has(s, NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? errno : 0;
}
