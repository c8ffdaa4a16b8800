#!/bin/bash
# Build the guests' box from Debian 12 packages: `build-box.sh DIRECTORY WHEELS` leaves box.img (one ext4, label root),
# vmlinuz and initrd.img in DIRECTORY. As root; needs mmdebstrap, mke2fs and qemu-img. Neither boot loader nor network:
# libvirt boots the kernel itself, which is how a machine gets its cgroup layout, and what the guest needs is in the
# image: also the project's dependencies, installed here, where the CPU is not emulated.
set -euo pipefail
OUT=${1:?usage: build-box.sh DIRECTORY WHEELS}
WHEELS=${2:?usage: build-box.sh DIRECTORY WHEELS}
SIZE=3G # sparse
PACKAGES=systemd,systemd-sysv,dbus,dbus-user-session,udev,libpam-systemd,openssh-server,sudo,iproute2,procps,kmod
PACKAGES+=,python3,python3-venv,gcc,libc6-dev,initramfs-tools,linux-image-cloud-amd64

mkdir -p "$OUT"
ROOT=$(mktemp -d "$OUT/root.XXXXXX")
trap 'rm -rf "$ROOT"' EXIT

# The building machine's own sources, if it is a Debian 12: they are the ones it can reach. Elsewhere name a file of them.
sources() {
    if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release && grep -q '^ID=debian' /etc/os-release; then
        for file in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list; do
            [ ! -s "$file" ] || { cat "$file"; return; }
        done
    fi
    cat "${CIRCUS_CG_DEBIAN_SOURCES:?cannot build the box: this is no Debian 12; name a sources.list of its packages}"
}

# MODULES=list: the guest's hardware is known, and unpacking an initrd takes time where the CPU is emulated.
# shellcheck disable=SC2016 # the hooks' $1 is mmdebstrap's
mmdebstrap --quiet --variant=minbase --mode=root --format=directory --include="$PACKAGES" \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' \
    --essential-hook='mkdir -p "$1/etc/initramfs-tools/conf.d"' \
    --essential-hook='printf "MODULES=list\nCOMPRESS=lz4\n" >"$1/etc/initramfs-tools/conf.d/box"' \
    --essential-hook='printf "%s\n" virtio_pci virtio_blk virtio_net ext4 >"$1/etc/initramfs-tools/modules"' \
    bookworm "$ROOT" - < <(sources)

in_box() { chroot "$ROOT" "$@"; }

# --- what Vagrant expects: https://developer.hashicorp.com/vagrant/docs/boxes/base
in_box useradd --create-home --shell /bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >"$ROOT/etc/sudoers.d/vagrant"
chmod 440 "$ROOT/etc/sudoers.d/vagrant"
install -d -m 700 "$ROOT/home/vagrant/.ssh"
KEYS=$(find /usr/share/rubygems-integration /opt/vagrant -path '*/keys/vagrant.pub' 2>/dev/null | head -n 1 || true)
install -m 600 "${KEYS:?cannot find the public key that Vagrant logs in with}" "$ROOT/home/vagrant/.ssh/authorized_keys"
in_box chown -R vagrant:vagrant /home/vagrant/.ssh
printf 'UseDNS no\nGSSAPIAuthentication no\n' >"$ROOT/etc/ssh/sshd_config.d/vagrant.conf"

# --- the dependencies
cp -r "$WHEELS" "$ROOT/opt/wheels"
cp "$(dirname "$0")/provision.sh" "$ROOT/opt/provision.sh"
in_box sh /opt/provision.sh dependencies
rm -r "$ROOT/opt/wheels" "$ROOT/opt/provision.sh"

# --- a quiet guest: no timers of its own, no waiting for a network that leads nowhere
echo circus-cg >"$ROOT/etc/hostname"
printf '127.0.0.1 localhost circus-cg\n::1 localhost\n' >"$ROOT/etc/hosts"
cat >"$ROOT/etc/systemd/network/80-dhcp.network" <<'TEXT'
[Match]
Name=en* eth*

[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no

[DHCPv4]
ClientIdentifier=mac
TEXT
echo 'LABEL=root / ext4 defaults,noatime 0 1' >"$ROOT/etc/fstab"
in_box systemctl -q enable systemd-networkd ssh serial-getty@ttyS0
in_box systemctl -q mask systemd-networkd-wait-online apt-daily.timer apt-daily-upgrade.timer e2scrub_reap.service \
    fstrim.timer dpkg-db-backup.timer systemd-pstore.service

# --- a kernel that leaves its own code alone. It patches the scheduler when the first group gets a CPU quota and when
# the last one is gone, and an emulated CPU may execute for ever what it had translated before another one's patch (QEMU
# 7.2: both CPUs at a breakpoint in update_curr that was no longer there). So one group always has a quota.
cat >"$ROOT/etc/systemd/system/always-a-quota.service" <<'TEXT'
[Service]
ExecStart=/bin/sleep infinity
CPUQuota=50%

[Install]
WantedBy=multi-user.target
TEXT
in_box systemctl -q enable always-a-quota

# --- nothing of the building machine stays
rm -rf "$ROOT"/var/lib/apt/lists/* "$ROOT"/etc/apt/sources.list "$ROOT"/etc/apt/sources.list.d/* "$ROOT"/etc/apt/auth* \
    "$ROOT"/etc/apt/apt.conf.d/99mmdebstrap "$ROOT"/var/cache/apt/*.bin "$ROOT"/var/log/apt "$ROOT"/var/log/*.log
: >"$ROOT/etc/resolv.conf"
: >"$ROOT/etc/machine-id"
builder=$(hostname)
sed -i "s/@$builder\$/@circus-cg/" "$ROOT"/etc/ssh/*.pub
if grep -rqF -- "@$builder" "$ROOT/etc" || [ -s "$ROOT/etc/resolv.conf" ]; then
    echo "cannot build a box: the name of this machine, $builder, is in it; make build-box.sh remove it" >&2
    exit 1
fi

cp "$ROOT"/boot/vmlinuz-* "$OUT/vmlinuz"
cp "$ROOT"/boot/initrd.img-* "$OUT/initrd.img"
rm -f "$ROOT"/boot/*

RAW=$OUT/box.raw
rm -f "$RAW"
truncate -s "$SIZE" "$RAW"
mke2fs -q -F -t ext4 -L root -d "$ROOT" "$RAW"
qemu-img convert -O qcow2 "$RAW" "$OUT/box.img"
rm -f "$RAW"
