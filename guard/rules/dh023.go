package rules

import (
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

func rootByNature() Rule {
	return Rule{
		ID: "DH023", Name: "root-by-nature", Severity: guard.Warning, Check: checkRootByNature,
		Title: "What starts needs root by its nature",
	}
}

// checkRootByNature does not ask units: on a host, such a daemon is where it belongs.
func checkRootByNature(s *guard.Subject, _ guard.Settings) []guard.Finding {
	if s.Kind == guard.KindUnit {
		return nil
	}
	for _, program := range started(s.Command.Args) {
		why, instead := natureOf(program)
		if why == "" {
			continue
		}
		f := guard.Finding{
			Message: "starts " + short(program) + ", " + why,
			Where:   s.Command.Where,
			Hint:    instead,
		}
		if s.User.NotRoot() && s.User.Missing == "" {
			f.Detail = "as uid " + s.User.UID.String() + " it fails, or does not do what it is for"
		}
		return []guard.Finding{f}
	}
	return nil
}

// natureOf says why a daemon needs root and what does its work without.
func natureOf(program string) (why, instead string) {
	switch program {
	case "cron", "crond", "anacron", "fcron":
		return "which becomes the user of each job, and needs root for that",
			"run one job as one user: supercronic in the container, a Kubernetes CronJob, or a systemd timer that starts it"
	case "sshd", "dropbear":
		return "which becomes whoever logs in, and needs root for that",
			"leave the container without a login: deckhand exec and kubectl exec need no daemon"
	case "systemd", "init", "runsvdir-start", "openrc-init":
		return "which starts services as users of their choice, and needs root for that",
			"one service a container, started by itself"
	case "dockerd", "dockerd-entrypoint.sh", "containerd", "crio", "kubelet":
		return "which makes containers, and needs root and more for that",
			"build with deckhand build, which needs no daemon, or use a rootless engine"
	case "vsftpd", "proftpd", "in.ftpd", "xinetd", "inetd", "smbd", "in.telnetd", "rpc.nfsd":
		return "which becomes whoever logs in or asks, and needs root for that",
			"a server that has one user: object storage, WebDAV, SFTP as one user"
	case "ntpd", "chronyd":
		return "which sets the clock, the host's clock",
			"keep the time on the host; containers share it"
	}
	return "", ""
}

// started lists the programs that a command starts, as far as they can be seen in it, without their directories.
func started(args []string) []string {
	args = unwrapped(args)
	if len(args) == 0 {
		return nil
	}
	first := path.Base(args[0])
	if isShell(first) && len(args) > 2 && strings.HasPrefix(args[1], "-") && strings.HasSuffix(args[1], "c") {
		return startedByLine(args[2])
	}
	return []string{serviceName(args)}
}

// startedByLine takes a shell line apart at what separates its commands.
func startedByLine(line string) []string {
	var programs []string
	split := func(r rune) bool { return strings.ContainsRune(";&|\n(){}", r) }
	for _, simple := range strings.FieldsFunc(line, split) {
		if words := unwrapped(strings.Fields(simple)); len(words) > 0 {
			programs = append(programs, serviceName(words))
		}
	}
	return programs
}

// unwrapped is a command without the programs that start another in their place, and without assignments.
func unwrapped(args []string) []string {
	for len(args) > 0 {
		name := path.Base(args[0])
		if !startsAnother(name) && !strings.HasPrefix(name, "-") && !isAssignment(args[0]) {
			return args
		}
		args = args[1:]
	}
	return args
}

// startsAnother reports whether a program only starts the one that its arguments name.
func startsAnother(name string) bool {
	switch name {
	case "exec", "tini", "tini-static", "dumb-init", "catatonit", "docker-init", "nohup", "env", "nice":
		return true
	}
	return false
}

func isAssignment(word string) bool {
	name, _, ok := strings.Cut(word, "=")
	return ok && name != "" && !strings.ContainsAny(name, "/.-'\"")
}

func isShell(name string) bool {
	switch name {
	case "sh", "bash", "ash", "dash", "ksh", "zsh":
		return true
	}
	return false
}

// serviceName is the program that is started, or that the init script or service command starts.
func serviceName(args []string) string {
	name := strings.Trim(path.Base(args[0]), `"'`)
	switch {
	case (name == "service" || name == "rc-service") && len(args) > 1:
		name = args[1]
	case (name == "busybox") && len(args) > 1:
		name = args[1]
	case path.Dir(args[0]) == "/etc/init.d":
	default:
		return name
	}
	if name == "ssh" {
		return "sshd"
	}
	return name
}
