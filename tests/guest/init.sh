#!/bin/sh
# init of the User Mode Linux guest. Its root is the host's / by hostfs, read-only: only $RESULTS can be written to.
# Kernel parameters become our environment: LAYOUT (v1 or v2), PROJECT, RESULTS, all absolute and without blanks.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
export PYTHONDONTWRITEBYTECODE=1
IN_GUEST=/run/results

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null || mount -t tmpfs dev /dev
for node in null:3 zero:5 full:7 random:8 urandom:9; do # the kernel's own devtmpfs is hidden by now
    [ -c "/dev/${node%:*}" ] || mknod -m 666 "/dev/${node%:*}" c 1 "${node#*:}"
done
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts # terminals
[ -e /dev/ptmx ] || ln -s pts/ptmx /dev/ptmx
for private in /run /tmp /var/tmp; do
    mount -t tmpfs tmp "$private"
    chmod 1777 "$private"
done
if [ ! -d "$PROJECT" ]; then # it lies below one of them
    mkdir -p "$PROJECT"
    mount -t hostfs -o "ro,$PROJECT" project "$PROJECT"
fi
mkdir "$IN_GUEST"
mount -t hostfs -o "$RESULTS" results "$IN_GUEST"

if [ "$LAYOUT" = v2 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
    mount -t tmpfs cgroup /sys/fs/cgroup
    for controller in cpu cpuacct cpuset memory pids freezer devices blkio; do
        grep -q "^${controller}[[:space:]]" /proc/cgroups || continue
        mkdir "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" "$controller" "/sys/fs/cgroup/$controller"
    done
fi
ip link set lo up 2>/dev/null

cd "$PROJECT" || echo "no $PROJECT in the guest" >>"$IN_GUEST/log"
sh "$IN_GUEST/command" >>"$IN_GUEST/log" 2>&1 </dev/null
echo $? >"$IN_GUEST/status"
sync
echo o >/proc/sysrq-trigger
sleep 60 # the power goes off meanwhile
