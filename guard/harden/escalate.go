package harden

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// level is a way to go on when no refusal has an answer any more.
type level struct {
	title string
	// propose gives repairs for what a candidate came to; none: the level has nothing to say.
	propose func(context.Context, candidate, *observe.Record) ([]repair.Repair, error)
	// from is what the level begins with; nil: what was found so far.
	from func(*mending) attempt
	// keep says that the repairs stay although they alone did not help: what follows builds on them.
	keep bool
	// again says that the level may have more to say once its repairs were tried.
	again bool
}

// levels are what is tried, the least of changes first.
func (s *session) levels() []level {
	return []level{
		{title: "with the directories that the image has there", propose: s.covered, keep: true},
		{title: "with an entry in /etc/passwd", propose: s.entry, keep: true},
		{title: "without the part that needs root", propose: s.afterDrop},
		{title: "with its own user's name", propose: s.rename, keep: true},
		{title: "without the arguments that ask for root", propose: s.arguments},
		{title: "without the lines that ask for root", propose: s.directives},
		{title: "with capabilities", propose: s.capabilities, from: (*mending).answers, again: true},
		{title: "with all that and capabilities", propose: s.capabilities, again: true, keep: true},
		{title: "with a writable root", propose: only(repair.Repair{
			Kind: repair.ReadWrite, Why: "it writes where a service should not, and nothing less was found to let it",
		})},
		{title: "as uid 0", propose: s.root, from: (*mending).places, keep: true},
		{title: "as uid 0 with a writable root", propose: only(writableRoot())},
		{title: "as uid 0 with a writable root and nothing else", propose: s.rootWriting, from: (*mending).bare},
	}
}

func only(r repair.Repair) func(context.Context, candidate, *observe.Record) ([]repair.Repair, error) {
	return func(context.Context, candidate, *observe.Record) ([]repair.Repair, error) {
		return []repair.Repair{r}, nil
	}
}

// covered proposes to give back, empty, the directories of the image that places in memory hide.
func (s *session) covered(_ context.Context, c candidate, _ *observe.Record) ([]repair.Repair, error) {
	var out []repair.Repair
	for p, f := range s.files.files {
		parent, ok := c.placeAt(path.Dir(p))
		if !ok || parent.Kind != repair.Tmpfs || !f.Mode.IsDir() {
			continue
		}
		out = append(out, repair.Repair{Kind: repair.Tmpfs, Path: p, Why: "the image has the directory"})
	}
	return ordered(out), nil
}

// userName is the name of the user that may be added.
func (s *session) userName() string {
	name := strings.TrimLeft(plainName(s.o.Name), "-0123456789")
	const most = 32 // useradd(8)
	name = name[:min(len(name), most)]
	if name == "" || s.files.users[name] != "" {
		return "service"
	}
	return name
}

// entry proposes a line of /etc/passwd, for a service that looks who it is.
func (s *session) entry(_ context.Context, c candidate, r *observe.Record) ([]repair.Repair, error) {
	i := slices.IndexFunc(r.Calls, func(c observe.Call) bool { return c.Path == "/etc/passwd" })
	if i < 0 || c.needs(repair.Passwd) {
		return nil, nil
	}
	home := cmp.Or(c.variable("HOME"), "/")
	_, exists := s.files.stat(s.files.resolve("/etc/passwd", true))
	return []repair.Repair{{
		Kind: repair.Passwd, Value: s.userName(), Path: home, Missing: !exists,
		Why: fmt.Sprintf("%s looks up the user it runs as", r.Calls[i].Process.Comm),
	}}, nil
}

// isIdentity reports whether a call changes who a process is.
func isIdentity(name string) bool {
	switch name {
	case "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups":
		return true
	}
	return false
}

// becameUser reports whether a call made an ordinary user of its process.
func becameUser(c *observe.Call) bool {
	return c.Errno == 0 && c.ID > 0 && (c.Syscall == "setuid" || c.Syscall == "setreuid" || c.Syscall == "setresuid")
}

// afterDrop proposes to start what the start-up script ran once it had given up root.
func (s *session) afterDrop(context.Context, candidate, *observe.Record) ([]repair.Repair, error) {
	var found []repair.Repair
	dir := ""
	for _, c := range startedAfterDrop(s.asRoot.Record) {
		r := repair.Repair{Kind: repair.Entrypoint, Argv: commandOf(c), Why: "what was started once root was given up, started at once"}
		if !slices.ContainsFunc(found, func(o repair.Repair) bool { return same(o, r) }) {
			found = append(found, r)
		}
		dir = c.Dir
	}
	if len(found) != 1 {
		return nil, nil // several programs under one that has to stay
	}
	if dir != "" && dir != path.Join("/", s.image.Config.Config.WorkingDir) {
		found = append(found, repair.Repair{Kind: repair.Workdir, Path: dir, Why: "the start-up script went there"})
		if r, ok := s.rootMade(dir); ok {
			found = append(found, r)
		}
	}
	return found, nil
}

// startedAfterDrop are the programs that processes became, each the first after it had become an ordinary user.
func startedAfterDrop(r *observe.Record) []*observe.Call {
	var out []*observe.Call
	dropped := map[int]bool{}
	for i := range r.Calls {
		c := &r.Calls[i]
		if becameUser(c) {
			dropped[c.Process.PID] = true
		}
		if c.Syscall == "execve" && c.Errno == 0 && len(c.Argv) > 0 && dropped[c.Process.PID] {
			delete(dropped, c.Process.PID) // what it runs later is its own affair
			out = append(out, c)
		}
	}
	return out
}

// commandOf is what an execve ran, in words that can be typed: the name that a program is given for itself may be
// another.
func commandOf(c *observe.Call) []string {
	argv := slices.Clone(c.Argv)
	isRelative := !path.IsAbs(argv[0]) && strings.Contains(argv[0], "/")
	if isRelative || path.Base(argv[0]) != path.Base(c.Path) {
		argv[0] = c.Path
	}
	return argv
}

// rootMade is the repair for a directory that the image lacks and that was made as root.
func (s *session) rootMade(dir string) (repair.Repair, bool) {
	for c := range s.allowed() {
		if strings.HasPrefix(c.Syscall, "mkdir") && s.files.resolve(c.Path, true) == dir && !s.files.isDir(dir) {
			r := s.writable(dir)
			r.Why = fmt.Sprintf("%s made it as root", c.Process.Comm)
			return r, true
		}
	}
	return repair.Repair{}, false
}

// rename proposes that the name of each user that the service became as root is that of the uid it has already:
// who asks whether he is that user, or asks to become him, has what he wants.
func (s *session) rename(_ context.Context, c candidate, _ *observe.Record) ([]repair.Repair, error) {
	var ids []string
	for call := range s.allowed() {
		if becameUser(call) {
			ids = union(ids, []string{strconv.FormatInt(call.ID, 10)})
		}
	}
	if c.needs(repair.Root) || len(ids) == 0 {
		return nil, nil
	}
	uid, gid := strconv.FormatUint(uint64(s.o.UID), 10), strconv.FormatUint(uint64(s.o.GID), 10)
	var out []repair.Repair
	for line := range strings.Lines(s.files.passwd) {
		line = strings.TrimRight(line, "\n")
		f := strings.Split(line, ":")
		if len(f) != 7 || !slices.Contains(ids, f[2]) {
			continue
		}
		why := fmt.Sprintf("the service insists on being %s", f[0])
		out = append(out, regroup(s.files.group, f[3], gid, why)...)
		f[2], f[3] = uid, gid
		out = append(out, repair.Repair{Kind: repair.Config, Path: "/etc/passwd", Old: line, Value: strings.Join(f, ":"), Why: why})
	}
	return out, nil
}

// regroup gives the group of an id another one.
func regroup(group, from, to, why string) []repair.Repair {
	for line := range strings.Lines(group) {
		line = strings.TrimRight(line, "\n")
		f := strings.Split(line, ":")
		if len(f) == 4 && f[2] == from {
			f[2] = to
			return []repair.Repair{{Kind: repair.Config, Path: "/etc/group", Old: line, Value: strings.Join(f, ":"), Why: why}}
		}
	}
	return nil
}

// arguments proposes the command without the flags that name somebody to become.
func (s *session) arguments(_ context.Context, c candidate, _ *observe.Record) ([]repair.Repair, error) {
	config := &s.image.Config.Config
	argv := slices.Concat(config.Entrypoint, config.Cmd)
	if c.needs(repair.Entrypoint) {
		return nil, nil
	}
	var kept, gone []string
	for i := 0; i < len(argv); i++ {
		flag, value, joined := strings.Cut(argv[i], "=")
		if !joined && i+1 < len(argv) {
			value = argv[i+1]
		}
		switch {
		case !namesSomebody(flag) || s.files.users[value] == "" && s.files.groups[value] == "":
			kept = append(kept, argv[i])
		case joined:
			gone = append(gone, argv[i])
		default:
			gone = append(gone, flag, value)
			i++
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	why := fmt.Sprintf("%s is for root, who can become others", strings.Join(gone, " "))
	return []repair.Repair{{Kind: repair.Entrypoint, Argv: kept, Why: why}}, nil
}

// namesSomebody reports whether a flag's value is a user or a group, going by its name.
func namesSomebody(flag string) bool {
	switch strings.ToLower(strings.TrimLeft(flag, "-")) {
	case "u", "g", "user", "group", "username", "groupname", "uid", "gid", "setuid", "setgid", "run-as", "runas":
		return strings.HasPrefix(flag, "-")
	}
	return false
}

// directives proposes to take lines out of configuration files: those which name what was refused. It is a last
// resort, since it guesses what a line means.
func (s *session) directives(ctx context.Context, _ candidate, r *observe.Record) ([]repair.Repair, error) {
	words := s.refusedWords(r)
	files := s.configuration(r)
	if len(words) == 0 || len(files) == 0 || s.image.Files == nil {
		return nil, nil
	}
	line, err := regexp.Compile(`^\s*(?i:` + strings.Join(words, "|") + `)\b`)
	if err != nil {
		return nil, fmt.Errorf("look for directives: %w", err)
	}
	content, err := s.image.Files.Read(ctx, files...)
	if _, tooLarge := errors.AsType[*guard.TooLargeError](err); err != nil && !tooLarge {
		return nil, fmt.Errorf("read the service's configuration: %w", err)
	}
	var out []repair.Repair
	for _, name := range files {
		if bytes.IndexByte(content[name], 0) >= 0 {
			continue
		}
		for text := range strings.Lines(string(content[name])) {
			text = strings.TrimRight(text, "\r\n")
			if line.MatchString(text) {
				out = append(out, repair.Repair{
					Kind: repair.Config, Path: name, Old: text, Why: "only root can do what it asks for: " + strings.TrimSpace(text),
				})
			}
		}
	}
	return out, nil
}

// refusedWords are what lines begin with that ask for what was refused. Some services see that they are not root and
// do not even ask.
func (s *session) refusedWords(r *observe.Record) []string {
	var words []string
	for _, c := range slices.Concat(denials(r), s.asRoot.Record.Calls) {
		switch {
		case c.Errno == 0 && !becameUser(&c) && c.Syscall != "chroot":
		case isIdentity(c.Syscall), strings.HasSuffix(c.Syscall, "chown"), c.Syscall == "fchownat":
			words = append(words, "user", "username", "group", "groupname", "run_?as", "uid", "gid", "setuid", "setgid", "[a-z_.-]*[._-](user|username|group|groupname)",
				`listen\.(owner|group|mode)`, "chown")
		case c.Syscall == "chroot":
			words = append(words, "chroot", "chroot_?dir", "chrootdir")
		case c.Syscall == "setrlimit" || c.Syscall == "prlimit64":
			words = append(words, "[a-z_]*rlimit[a-z_]*", "[a-z_]*nofile[a-z_]*", "[a-z_]*ulimit[a-z_]*", "maxfiles")
		case c.Syscall == "setpriority" || strings.HasPrefix(c.Syscall, "sched_set"):
			words = append(words, "[a-z_]*priority", "nice", "[a-z_]*scheduler")
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// configuration are the files that the service read and that look like its own settings.
func (s *session) configuration(r *observe.Record) []string {
	var files []string
	for _, c := range slices.Concat(r.Calls, s.asRoot.Record.Calls) {
		if c.Errno != 0 || c.Writes || !strings.HasPrefix(c.Syscall, "open") {
			continue
		}
		p := s.files.resolve(c.Path, true)
		f, ok := s.files.stat(p)
		if ok && f.Mode.IsRegular() && f.Mode.Perm()&0o111 == 0 && isConfiguration(p) && !slices.Contains(files, p) {
			files = append(files, p)
		}
	}
	return files
}

func isConfiguration(p string) bool {
	for _, system := range []string{"/etc/ssl", "/etc/ld.so.conf.d", "/etc/pam.d", "/etc/security", "/etc/alternatives"} {
		if isWithin(p, system) {
			return false
		}
	}
	if path.Dir(p) == "/etc" {
		switch path.Base(p) {
		case "passwd", "group", "shadow", "gshadow", "hosts", "nsswitch.conf", "resolv.conf", "host.conf", "gai.conf", "services",
			"protocols", "localtime", "timezone", "ld.so.cache", "ld.so.conf", "login.defs", "environment":
			return false
		}
		return true
	}
	switch path.Ext(p) {
	case ".conf", ".cnf", ".cfg", ".ini", ".toml", ".yaml", ".yml", ".json", ".config":
		return true
	}
	return isWithin(p, "/etc")
}
