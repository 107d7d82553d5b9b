package shell

import "strings"

// programClass says what a line that runs a program may do to an image.
type programClass uint8

const (
	stranger programClass = iota // nobody knows
	tool                         // prepares: changes files, fetches, says something
	query                        // asks: it may fail without anything being wrong
	account                      // changes users and groups
	manager                      // a package manager
	mode                         // changes modes, owners, capabilities of files
	builder                      // compilers, language package managers, servers: adds no user
	starts                       // starts another program, or runs a shell's line
)

// classOf is a program's class, by its name without directories.
func classOf(name string) programClass {
	switch name {
	case "useradd", "adduser", "addgroup", "groupadd", "usermod", "userdel", "deluser", "groupdel", "delgroup", "groupmod",
		"newusers", "chpasswd", "passwd", "chage", "gpasswd", "vipw", "vigr", "pwconv", "grpconv", "chsh", "chfn", "groupmems":
		return account
	case "apt-get", "apt", "aptitude", "apk", "dnf", "dnf5", "yum", "microdnf", "tdnf", "zypper", "pacman", "dpkg", "rpm", "opkg",
		"emerge", "xbps-install", "urpmi", "swupd", "eopkg", "snap", "install_packages", "apt-install", "clean-install":
		return manager
	case "chmod", "chown", "chgrp", "setcap", "install", "cp", "mv", "rm", "tee", "sed", "visudo", "mkdir", "ln", "curl", "wget",
		"perl", "awk", "gawk", "dd", "patch", "rsync", "unlink", "truncate":
		return mode
	case "sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "sudo", "doas", "env", "exec", "eval", "command", "find", "xargs", "source", ".",
		"su", "gosu", "su-exec", "runuser", "setpriv", "chroot", "nice", "timeout", "time", "nohup", "busybox", "setsid",
		"stdbuf", "ionice", "flock", "eatmydata", "fakeroot", "builtin":
		return starts
	}
	if isQuery(name) {
		return query
	}
	if isTool(name) {
		return tool
	}
	if isBuilder(name) {
		return builder
	}
	return stranger
}

func isQuery(name string) bool {
	switch name {
	case "id", "getent", "grep", "egrep", "fgrep", "zgrep", "test", "[", "[[", "which", "type", "hash", "stat", "ls", "pgrep", "pidof",
		"nc", "ncat", "ping", "diff", "cmp", "mountpoint", "command", "read", "nslookup", "dig", "host", "pg_isready",
		"mysqladmin", "redis-cli", "whereis", "lsof", "ss", "netstat", "ps", "getcap", "file", "expr", "dpkg-query", "lscpu",
		"locale", "getconf", "ldconfig-p", "curl-check", "wait-for-it", "wait-for-it.sh", "jq", "yq", "false":
		return true
	}
	return false
}

func isTool(name string) bool {
	switch name {
	case "echo", "printf", "cat", "cd", "export", "set", "true", ":", "touch", "rmdir", "tar", "unzip", "zip", "gzip", "gunzip",
		"xz", "unxz", "bzip2", "bunzip2", "zstd", "cut", "tr", "sort", "uniq", "head", "tail", "wc", "basename", "dirname", "readlink",
		"realpath", "date", "sleep", "seq", "yes", "md5sum", "sha1sum", "sha256sum", "sha512sum", "shasum", "base64", "od", "xxd",
		"hexdump", "uname", "hostname", "arch", "nproc", "df", "du", "mktemp", "mkfifo", "mknod", "sync", "pwd", "unset", "wait", "kill",
		"pkill", "killall", "trap", "umask", "ulimit", "shift", "return", "exit", "break", "continue", "local", "declare", "readonly",
		"typeset", "let", "shopt", "alias", "unalias", "popd", "pushd", "gpg", "gpgconf", "dirmngr", "git", "svn", "hg", "openssl",
		"update-ca-certificates", "update-ca-trust", "ldconfig", "strip", "envsubst", "tput", "clear", "mount", "umount", "ssh-keyscan",
		"ssh-keygen", "locale-gen", "localedef", "update-locale", "dpkg-reconfigure", "update-alternatives", "alternatives", "whoami",
		"split", "join", "paste", "comm", "fold", "fmt", "nl", "rev", "tac", "column", "cksum", "logger", "getopt", "getopts", "sysctl",
		"apt-key", "add-apt-repository", "apt-mark", "apt-cache", "dpkg-divert", "dpkg-architecture", "rpm2cpio", "cpio",
		"debconf-set-selections", "yum-config-manager", "subscription-manager", "package-cleanup", "fc-cache", "chattr", "setfacl",
		"chcon", "restorecon", "semanage", "numfmt", "tzdata", "iconv", "shred", "scanelf", "ldd", "xmlstarlet", "crudini", "lsb_release":
		return true
	}
	return false
}

func isBuilder(name string) bool {
	switch name {
	case "make", "cmake", "ninja", "meson", "gcc", "g++", "cc", "c++", "clang", "ld", "ar", "configure", "autoreconf", "autoconf",
		"automake", "libtoolize", "autogen.sh", "bison", "flex", "npm", "npx", "yarn", "pnpm", "node", "corepack", "bun", "deno", "go",
		"cargo", "rustup", "rustc", "pip", "pip2", "pip3", "pipx", "pipenv", "poetry", "uv", "conda", "mamba", "micromamba", "python",
		"python2", "python3", "virtualenv", "easy_install", "gem", "bundle", "bundler", "rake", "ruby", "rails", "composer", "php",
		"pecl", "pear", "phpize", "docker-php-ext-install", "docker-php-ext-enable", "docker-php-ext-configure", "docker-php-source",
		"mvn", "mvnw", "gradle", "gradlew", "ant", "sbt", "lein", "java", "javac", "jlink", "keytool", "dotnet", "msbuild", "nuget",
		"mix", "rebar3", "elixir", "erl", "cabal", "stack", "ghc", "opam", "dune", "swift", "bower", "gulp", "grunt", "webpack", "tsc", "ng",
		"vite", "hugo", "jekyll", "a2enmod", "a2dismod", "a2ensite", "a2dissite", "a2enconf", "a2disconf", "phpenmod", "phpdismod",
		"nginx", "R", "Rscript", "julia", "lua", "luarocks", "cpan", "cpanm", "xcaddy", "caddy", "protoc", "upx", "terraform", "kubectl",
		"helm", "aws", "gcloud", "az", "setup.py", "manage.py", "nvm", "fnm", "volta", "playwright", "puppeteer", "patchelf", "qmake",
		"xx-go", "xx-cargo", "xx-clang", "xx-verify", "xx-info", "xx-apk", "xx-apt", "xx-apt-get", "golangci-lint", "gotestsum", "shellcheck",
		"lscgroup", "sccache", "ccache", "scons", "bazel", "pkg-config", "apxs", "esbuild", "tauri", "ionic", "expo", "next", "nuxt":
		return true
	}
	return false
}

// interesting is a quick look at a line: whether it may do anything that [Line] tells of. Words in quotes are
// looked at like others.
func interesting(line string) bool {
	command := true // the next word is a command's name
	for i := 0; i < len(line); {
		c := line[i]
		if !isWordByte(c) {
			command = command || endsCommand(line, i)
			i++
			continue
		}
		from := i
		for i < len(line) && isWordByte(line[i]) {
			i++
		}
		word := line[from:i]
		if word[0] == '#' { // a comment
			end := strings.IndexByte(line[from:], '\n')
			if end < 0 {
				return false
			}
			i = from + end
			continue
		}
		if telling(word) {
			return true
		}
		stop := false
		if command {
			command, stop = atCommand(word, line)
		}
		if stop {
			return true
		}
	}
	return false
}

// isWordByte is true for what may be part of a word that tells something.
func isWordByte(c byte) bool {
	switch c {
	case ' ', '\t', '\n', '\r', ';', '&', '|', '(', ')', '{', '}', '`', '<', '>', '"', '\'', '\\':
		return false
	}
	return true
}

// endsCommand reports whether what follows is a command again.
func endsCommand(line string, i int) bool {
	switch line[i] {
	case ';', '&', '|', '(', ')', '{', '`':
		return true
	case '\n':
		before := strings.TrimRight(line[:i], " \t\r")
		return !strings.HasSuffix(before, `\`)
	}
	return false
}

// telling reports whether a word means something wherever it stands.
func telling(word string) bool {
	at := strings.LastIndexByte(word, '/')
	switch base := word[at+1:]; base {
	case "passwd", "group", "sudoers", "doas.conf", "login.defs", "adduser.conf":
		return at >= 0
	case "etc":
		return word == "/etc" // cd /etc
	case "install", "cp", "mv", "rm", "tee", "sed", "mkdir", "ln", "curl", "wget", "perl", "awk", "gawk", "dd", "patch", "rsync", "unlink",
		"truncate", "time", ".":
		return false // only with the paths that are told of, or a mode; where they are commands, atCommand decides
	default:
		switch classOf(base) {
		case account, manager, mode, starts:
			return true
		case stranger, tool, query, builder:
		}
	}
	if at >= 0 && (strings.HasPrefix(word[at+1:], "passwd") || strings.HasPrefix(word[at+1:], "group")) {
		return true // a pattern
	}
	return strings.Contains(word, "sudoers.d") || strings.Contains(word, "NOPASSWD")
}

// namesRoot reports whether a line has the root directory as a word.
func namesRoot(line string) bool {
	return strings.HasSuffix(line, " /") || strings.Contains(line, " / ") || strings.Contains(line, " /\n")
}

// atCommand looks at a word where a command's name stands; stop says that the line must be read.
func atCommand(word, line string) (command, stop bool) {
	switch word {
	case "then", "do", "else", "elif", "if", "while", "until", "!", "fi", "done", "esac", "in", "case", "for":
		return word != "case" && word != "for", false
	}
	if isAssignment(word) {
		return true, false
	}
	at := strings.LastIndexByte(word, '/')
	switch base := word[at+1:]; base {
	case "cp", "mv", "rsync":
		return false, namesRoot(line)
	case "ln", "awk", "gawk", "patch", "dd", "truncate", "unlink", "tee", "sed", "perl":
		return false, false // the files that matter are told of by their names
	case "mkdir":
		return false, strings.Contains(line, "-m")
	case "rm", "curl", "wget":
		return false, strings.Contains(line, "bin/")
	default:
		switch classOf(base) {
		case tool, query, builder:
			return false, false
		case stranger, account, manager, mode, starts:
		}
	}
	return false, true
}
