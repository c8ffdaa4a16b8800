#!/bin/sh
# Make a Debian 12 guest a host of circus-cg: `provision.sh [dependencies|project]`, both without a word. As root.
# The box of `./dev vm` had the first half when it was built. What was carried in (/opt/wheels, /vagrant/wheel) is used;
# where nothing was, pip fetches it.
set -eu
HOME_OF_ALL=/opt/circus-cg
SOURCE=/vagrant

dependencies() {
    if ! command -v gcc >/dev/null || ! python3 -c 'import ensurepip' 2>/dev/null; then
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv gcc libc6-dev
    fi
    python3 -m venv "$HOME_OF_ALL"
    [ ! -d /opt/wheels ] || "$HOME_OF_ALL/bin/pip" install -q --no-index --disable-pip-version-check /opt/wheels/*.whl
}

project() {
    if [ -d "$SOURCE/wheel" ]; then
        "$HOME_OF_ALL/bin/pip" install -q --no-index --no-deps --force-reinstall --disable-pip-version-check \
            "$SOURCE"/wheel/*.whl
    else
        "$HOME_OF_ALL/bin/pip" install -q --disable-pip-version-check "${SOURCE}[test]"
    fi
    ln -sf "$HOME_OF_ALL/bin/circus-cg" /usr/local/bin/circus-cg
    id shop >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin shop
    install -d -m 700 /etc/circus-cg /var/lib/circus-cg
    [ -e /etc/circus-cg/first.yaml ] || install -m 600 "$SOURCE/vagrant/first.yaml" /etc/circus-cg/first.yaml
}

case ${1:-both} in
    dependencies) dependencies ;;
    project) project ;;
    *)
        dependencies
        project
        ;;
esac
