package shell

import (
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// dropOf reads a program that becomes another user and starts a program. Where it stays root, the drop is nil and
// inner is what it starts; where it is no such program, both are nil. envUser is who s6-envuidgid named.
func dropOf(argv []string, envUser string) (d *guard.Drop, inner []string) {
	if !known(argv[0]) {
		return nil, nil
	}
	by, spec, inner := becomes(path.Base(argv[0]), argv[1:], envUser)
	if by == "" {
		return nil, nil
	}
	if spec == "" || isRoot(spec) {
		if len(inner) == 0 {
			return nil, nil
		}
		return nil, inner
	}
	return &guard.Drop{By: by, Spec: shown(spec), To: target(spec), Certain: known(userPart(spec)) && by != startedFor}, inner
}

func userPart(spec string) string {
	name, _, _ := strings.Cut(spec, ":")
	return name
}

// isRoot reports whether a user is root, by name or by number.
func isRoot(spec string) bool {
	name := userPart(spec)
	id, ok := parseID(strings.TrimLeft(name, "+"))
	return name == rootName || name == "" || ok && id.Root()
}

// target is the uid as far as it is known. Names that are not root's are resolved by whoever knows the users.
func target(spec string) guard.ID {
	name := userPart(spec)
	if !known(name) {
		return guard.AnyID()
	}
	if id, ok := parseID(strings.TrimLeft(name, "+")); ok {
		return id
	}
	return notRoot()
}

// becomes reads the programs that become another user. by is empty for others; spec for root.
func becomes(name string, args []string, envUser string) (by, spec string, inner []string) {
	switch name {
	case "gosu", "su-exec", "setuidgid", "s6-setuidgid":
		return firstIsUser(name, args)
	case "s6-applyuidgid":
		return applyUIDGID(args, envUser)
	case "setpriv":
		return setpriv(args)
	case "chroot":
		return chroot(args)
	case "su":
		return switchUser("su", args)
	case "runuser":
		return runuser(args)
	case "sudo", "doas":
		return sudo(name, args)
	case "chpst":
		return chpst(args)
	case "start-stop-daemon":
		return startStopDaemon(args)
	case "capsh":
		return capsh(args)
	case "unshare", "nsenter":
		return unshare(name, args)
	}
	return "", "", nil
}

func firstIsUser(name string, args []string) (by, spec string, inner []string) {
	for len(args) > 0 && (args[0] == "--" || name == "gosu" && strings.HasPrefix(args[0], "--")) {
		args = args[1:]
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return "", "", nil
	}
	return name, args[0], args[1:]
}

func applyUIDGID(args []string, envUser string) (by, spec string, inner []string) {
	o := parseOptions("u: g: G: U z", args, true)
	spec, ok := o.last("u")
	switch {
	case !ok && o.has("U") && envUser != "":
		spec = envUser
	case !ok && o.has("U"):
		spec = open("$UID", true)
	}
	return "s6-applyuidgid", spec, o.operands
}

func setpriv(args []string) (by, spec string, inner []string) {
	o := parseOptions("ruid: euid: rgid: egid: reuid: regid: groups: clear-groups keep-groups init-groups inh-caps: "+
		"ambient-caps: bounding-set: securebits: pdeathsig: selinux-label: apparmor-profile: nnp no-new-privs reset-env "+
		"landlock-access: landlock-rule: seccomp-filter: ptracer: d|dump", args, true)
	if spec, ok := o.last("reuid"); ok {
		return "setpriv", spec, o.operands
	}
	real, _ := o.last("ruid")
	if effective, ok := o.last("euid"); ok && real != "" && !isRoot(real) {
		return "setpriv", effective, o.operands
	}
	return "setpriv", "", o.operands
}

func chroot(args []string) (by, spec string, inner []string) {
	o := parseOptions("userspec: groups: skip-chdir", args, true)
	spec, _ = o.last("userspec")
	if len(o.operands) > 0 {
		inner = o.operands[1:]
	}
	return "chroot --userspec", spec, inner
}

// suOptions are those of su and runuser.
const suOptions = "c|command|session-command: f|fast g|group: G|supp-group: l|login m|preserve-environment p P|pty s|shell: T w|whitelist-environment: u|user:"

// switchUser is su: [options] [-] [user [words for the shell]].
func switchUser(name string, args []string) (by, spec string, inner []string) {
	o := parseOptions(suOptions, args, false)
	rest := o.operands
	if len(rest) > 0 && rest[0] == "-" {
		rest = rest[1:]
	}
	by = name
	if line, ok := o.last("c"); ok {
		by = name + " -c"
		inner = []string{"/bin/sh", "-c", line}
	}
	if len(rest) == 0 {
		return by, "", inner
	}
	if inner == nil {
		inner = append([]string{"/bin/sh"}, rest[1:]...)
	}
	return by, rest[0], inner
}

func runuser(args []string) (by, spec string, inner []string) {
	o := parseOptions(suOptions, args, true)
	if spec, ok := o.last("u"); ok {
		return "runuser", spec, o.operands
	}
	by, spec, inner = switchUser("runuser", args)
	return by, spec, inner
}

func sudo(name string, args []string) (by, spec string, inner []string) {
	spec, rest := "", args
	for {
		o := parseOptions("u|user: g|group: C|close-from: D|chdir: h|host: p|prompt: R|chroot: r|role: t|type: T|command-timeout: U|other-user: "+
			"E|preserve-env H|set-home n|non-interactive S|stdin i|login s|shell", rest, true)
		if u, ok := o.last("u"); ok {
			spec = strings.TrimPrefix(u, "#")
		}
		rest = o.operands
		if len(rest) == 0 || !isAssignment(rest[0]) {
			break
		}
		rest = rest[1:]
	}
	if spec == "" || isRoot(spec) {
		return name, "", rest
	}
	return name + " -u", spec, rest
}

func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && name != "" && known(name) && !strings.ContainsAny(name, "/-.")
}

func chpst(args []string) (by, spec string, inner []string) {
	o := parseOptions("u: U: b: e: / n: l: L: m: d: o: p: f: c: r: t: v V P 0 1 2", args, true)
	spec, _ = o.last("u")
	return "chpst -u", strings.TrimPrefix(spec, ":"), o.operands
}

func startStopDaemon(args []string) (by, spec string, inner []string) {
	o := parseOptions("S|start K|stop T|status c|chuid: u|user: g|group: x|exec: a|startas: n|name: p|pidfile: r|chroot: d|chdir: "+
		"b|background m|make-pidfile N|nicelevel: s|signal: R|retry: k|umask: P|procsched: I|iosched: q|quiet v|verbose o|oknodo "+
		"e|env: 1|stdout: 2|stderr: O|output: C|no-close ppid: notify-await", args, true)
	if o.has("K") || o.has("T") {
		return "", "", nil
	}
	by = "start-stop-daemon --chuid"
	spec, ok := o.last("c")
	if !ok {
		by = startedFor
		spec, _ = o.last("u")
	}
	program, ok := o.last("a")
	if !ok {
		program, ok = o.last("x")
	}
	if ok {
		inner = append([]string{program}, o.operands...)
	}
	return by, spec, inner
}

// startedFor is OpenRC's way of --chuid. Debian's only looks for a process of that user.
const startedFor = "start-stop-daemon --user"

// capsh takes its options in order, and a shell's words behind --.
func capsh(args []string) (by, spec string, inner []string) {
	for i, a := range args {
		switch {
		case a == "--":
			inner = append([]string{"/bin/bash"}, args[i+1:]...)
			return "capsh", spec, inner
		case strings.HasPrefix(a, "--user="):
			spec = strings.TrimPrefix(a, "--user=")
		case strings.HasPrefix(a, "--uid="):
			spec = strings.TrimPrefix(a, "--uid=")
		}
	}
	return "", "", nil
}

func unshare(name string, args []string) (by, spec string, inner []string) {
	o := parseOptions("S|setuid: G|setgid: R|root: w|wd: t|target: map-user: map-group: propagation:", args, true)
	spec, _ = o.last("S")
	return name + " --setuid", spec, o.operands
}
