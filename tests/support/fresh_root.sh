# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are those of fresh_machine.sh
# Sourced by tests/fresh_machine.sh: a minimal Debian root with this host's
# package sources, in `root`, over packages kept in `cache`. Runs in a mount
# namespace of its own. tests/arm64/root.sh takes the first two functions only.

# Lines "deb URI SUITE COMPONENTS" of this host's sources for a release.
package_sources() {
  # shellcheck disable=SC2016  # a format of apt's, not of the shell
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' |
    awk -v release="$1" '
      index($2, release) == 1 {
        key = $1 " " $2
        if (!(key in components)) order[++count] = key
        components[key] = components[key] " " $3
      }
      END { for (i = 1; i <= count; i++) print "deb " order[i] components[order[i]] }'
}

# The first of them that is of the release itself, not of its updates.
package_mirror() {
  package_sources "$1" | awk -v release="$1" '$3 == release { print $2; exit }'
}

# Settings without which this host's programs would not reach their servers.
copy_settings() {
  local file
  package_sources "$release" > "$root/etc/apt/sources.list"
  # Nobody needs this root after a power cut.
  echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/unsafe"
  apt-config dump |
    grep -E '^Acquire::(https?|Check-Valid-Until|Check-Date|ForceIPv[46])' \
      > "$root/etc/apt/apt.conf.d/00host" || true
  for file in /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/pip.conf \
    /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt \
    /usr/local/share/ca-certificates; do
    if [[ -e $file ]]; then
      mkdir -p "$root$(dirname "$file")"
      cp -rL --no-target-directory "$file" "$root$file"
    fi
  done
  for file in .config/pip/pip.conf .pip/pip.conf; do
    if [[ -f ${HOME:-/root}/$file ]]; then
      mkdir -p "$root/root/$(dirname "$file")"
      cp "${HOME:-/root}/$file" "$root/root/$file"
    fi
  done
}

# What every machine has. No device but the plain ones, so no GPU either.
mount_system() {
  local name
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for name in null zero full random urandom tty; do
    touch "$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
  done
  mkdir "$root"/dev/{pts,shm}
  mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
}

# What was downloaded once is there next time.
mount_cache() {
  mkdir -p "$cache"/{archives,pip} "$root/var/cache/pip"
  mount --bind "$cache/archives" "$root/var/cache/apt/archives"
  mount --bind "$cache/pip" "$root/var/cache/pip"
  chown -R root: "$cache/pip"
}

make_root() {
  mkdir -p "$cache/debootstrap"
  debootstrap --variant=minbase --cache-dir="$cache/debootstrap" "$release" \
    "$root" "$(package_mirror "$release")"
  copy_settings
  mount_system
  mount_cache
}

# The tracked files as they are in the working tree; no repository, no build.
copy_checkout() {
  mkdir -p "$root$place"
  git -C "$checkout" -c safe.directory="*" ls-files -z |
    (cd "$checkout" && while IFS= read -r -d '' file; do
      if [[ -e $file ]]; then printf '%s\0' "$file"; fi
    done) | tar -C "$checkout" --null --files-from=- --create |
    tar -C "$root$place" --extract --no-same-owner
}

# Variables of this host that pip and apt obey; paths only where they exist
# inside.
host_variables() {
  local name
  while IFS= read -r name; do
    if [[ ${!name} != /* || -e $root${!name} ]]; then echo "$name=${!name}"; fi
  done < <(compgen -e | grep -E '^PIP_|^(https?|no|all)_proxy$|^(HTTPS?|NO|ALL)_PROXY$' |
    grep -vE '^PIP_(CACHE_DIR|TARGET|PREFIX|USER)$')
}

# enter USER [VARIABLE=VALUE]... COMMAND: a command of bash, inside.
enter() {
  local user=$1 home=/home/$1 variables=()
  shift
  [[ $user != root ]] || home=/root
  mapfile -t variables < <(host_variables)
  while (($# > 1)); do
    variables+=("$1")
    shift
  done
  env -i HOME="$home" PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
    PIP_CACHE_DIR=/var/cache/pip ${variables[@]+"${variables[@]}"} \
    /usr/sbin/chroot --userspec="$user" "$root" /bin/bash -c "$1" < /dev/null
}

# The folder of this host's CUDA toolkit, where it has one of its own.
cuda_toolkit() {
  local nvcc
  nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
  nvcc=$(realpath "$nvcc" 2> /dev/null || true)
  if [[ -x $nvcc && -d ${nvcc%/bin/nvcc}/nvvm ]]; then echo "${nvcc%/bin/nvcc}"; fi
}

# mount_toolkit FOLDER: inside at the same place, and a PATH for it.
toolkit_path=''
mount_toolkit() {
  mkdir -p "$root$1"
  mount --bind "$1" "$root$1"
  mount -o remount,bind,ro "$root$1"
  toolkit_path=PATH=$1/bin:/usr/sbin:/usr/bin:/sbin:/bin
}
