package dockerfiles

import (
	"path"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
)

// placement is one source of a COPY or ADD.
type placement struct {
	kind    sourceKind
	source  string // clean, without a leading slash, "." for all; of a heredoc its name; of a URL the URL
	stage   int    // sourceStage
	image   string // sourceImage
	body    []byte // sourceHeredoc
	dest    string // absolute and clean
	into    bool   // dest is certainly a directory
	parents bool   // --parents
	archive bool   // ADD unpacks it
	text    string // "COPY files/passwd", for messages
}

// sourceKind is where a placement comes from.
type sourceKind int

const (
	sourceContext sourceKind = iota
	sourceStage
	sourceImage
	sourceHeredoc
	sourceURL
)

// copy is COPY or ADD.
func (b *build) copy(s *stage, from *site, in *dockerfile.Instruction) error {
	words := make([]string, len(in.Args))
	for i, arg := range in.Args {
		words[i] = arg
		if in.Heredoc(arg) != nil {
			continue
		}
		e, err := s.scope.Expand(arg)
		if err != nil {
			return err
		}
		words[i] = e.Value
	}
	last := len(words) - 1
	dest := joinPath(s.workdir, words[last])
	into := last > 1 || strings.HasSuffix(words[last], "/") || path.Base(words[last]) == "." || dest == "/"
	var puts []*placement
	for i, word := range words[:last] {
		p := &placement{source: word, dest: dest, into: into, text: title(in, i)}
		if err := b.findSource(s, in, p, in.Args[i]); err != nil {
			return err
		}
		_, p.parents = in.Flag("parents")
		puts = append(puts, p)
		if dest != "" {
			s.events = append(s.events, event{put: p})
		}
	}
	step, err := b.copyStep(s, in, words, puts)
	step.Where = b.place(from, in.Range)
	s.steps = append(s.steps, step)
	return err
}

// title names one source of the instruction in messages.
func title(in *dockerfile.Instruction, i int) string {
	if from, given := in.Flag("from"); given {
		return in.Keyword + " --from=" + from + " " + in.Args[i]
	}
	return in.Keyword + " " + in.Args[i]
}

// findSource finds out what kind of source it is.
func (b *build) findSource(s *stage, in *dockerfile.Instruction, p *placement, arg string) error {
	if h := in.Heredoc(arg); h != nil {
		p.kind, p.source = sourceHeredoc, h.Name
		return s.heredocBody(h, p)
	}
	if in.Keyword == "ADD" && isRemote(p.source) {
		p.kind = sourceURL
		return nil
	}
	p.source = cleanSource(p.source)
	name, given := in.Flag("from")
	if !given || name == "" {
		p.archive = in.Keyword == "ADD" && isArchive(p.source)
		return nil
	}
	p.kind, p.stage = sourceStage, b.copiedStage(s, name)
	if p.stage < 0 {
		p.kind, p.image = sourceImage, name
	}
	return nil
}

func (s *stage) heredocBody(h *dockerfile.Heredoc, p *placement) error {
	body := h.Body()
	if h.Expand {
		e, err := s.scope.ExpandHeredoc(body)
		if err != nil {
			return err
		}
		body = e.Value
	}
	p.body = []byte(body)
	return nil
}

// copiedStage is the stage that --from names, or -1.
func (b *build) copiedStage(s *stage, name string) int {
	if i, err := strconv.Atoi(name); err == nil {
		if i < 0 || i >= s.def.Index {
			return -1
		}
		return i
	}
	return b.file.StageNamed(name, s.def.Index)
}

// isRemote reports whether ADD fetches the source.
func isRemote(source string) bool {
	for _, scheme := range []string{"http://", "https://", "git://", "ssh://", "git@"} {
		if strings.HasPrefix(source, scheme) {
			return true
		}
	}
	return false
}

// isArchive reports whether ADD is likely to unpack a file of that name.
func isArchive(name string) bool {
	for _, suffix := range []string{".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz", ".tar.zst", ".tzst"} {
		if strings.HasSuffix(strings.ToLower(name), suffix) {
			return true
		}
	}
	return false
}

// cleanSource is a source relative to where it is taken from.
func cleanSource(source string) string {
	if clean := strings.TrimPrefix(path.Clean("/"+source), "/"); clean != "" {
		return clean
	}
	return "."
}

// copyStep is what the instruction does to owners and modes.
func (b *build) copyStep(s *stage, in *dockerfile.Instruction, words []string, puts []*placement) (guard.Step, error) {
	step := guard.Step{Installs: programs(puts)}
	owner, err := s.flag(in, "chown")
	if err != nil {
		return step, err
	}
	mode, err := s.flag(in, "chmod")
	if err != nil {
		return step, err
	}
	setuid, open := readMode(mode)
	gives := givesAway(owner)
	if !setuid && !open && !gives {
		return step, nil
	}
	targets := b.targets(puts, words[len(words)-1])
	if setuid {
		step.Setuid = targets
	}
	if open {
		step.Opens = targets
	}
	for _, target := range targets {
		if gives {
			step.Gives = append(step.Gives, guard.Ownership{Path: target, Owner: owner, Recursive: true, Copy: true})
		}
	}
	return step, nil
}

// programs are those that come from another image, another stage or the network.
func programs(puts []*placement) []string {
	var names []string
	for _, p := range puts {
		if dir := path.Base(path.Dir("/" + p.source)); (dir == "bin" || dir == "sbin") && p.kind != sourceContext {
			names = append(names, path.Base(p.source))
		}
	}
	return names
}

// flag is a flag's value with its variables expanded.
func (s *stage) flag(in *dockerfile.Instruction, name string) (string, error) {
	value, given := in.Flag(name)
	if !given {
		return "", nil
	}
	e, err := s.scope.Expand(value)
	return e.Value, err
}

// targets are the paths that the sources become: of files their own, of directories the destination.
func (b *build) targets(puts []*placement, written string) []string {
	var targets []string
	for _, p := range puts {
		dest := p.dest
		if dest == "" {
			dest = written // the working directory is not known
		}
		if p.into && (b.isFile(p) || isSystemDir(dest)) {
			dest = path.Join(dest, path.Base(p.source))
		}
		if len(targets) == 0 || targets[len(targets)-1] != dest {
			targets = append(targets, dest)
		}
	}
	return targets
}

// isFile reports whether a source is a file, as far as its name and the build context tell.
func (b *build) isFile(p *placement) bool {
	switch p.kind {
	case sourceHeredoc:
		return true
	case sourceContext:
		if kind := b.files.kindOf(p.source); kind != nothing {
			return kind == regularFile
		}
	case sourceStage, sourceImage, sourceURL:
	}
	return !p.archive && (looksLikeFile(p.source) || hasWildcard(p.source))
}

// isSystemDir reports whether a directory is one that nobody gives away as a whole.
func isSystemDir(dir string) bool {
	switch path.Base(dir) {
	case "/", "bin", "sbin", "lib", "lib64", "etc", "usr", "opt", "srv", "var":
		return true
	}
	return false
}

// givesAway reports whether --chown names somebody who is not root.
func givesAway(owner string) bool {
	name, _, _ := strings.Cut(owner, ":")
	n, err := strconv.Atoi(name)
	return name != "" && name != "root" && (err != nil || n != 0)
}

// readMode reads --chmod: an octal number, or clauses such as u+s,o+w.
func readMode(mode string) (setuid, open bool) {
	const setID, sticky, othersWrite = 0o6000, 0o1000, 0o002
	if n, err := strconv.ParseUint(mode, 8, 32); err == nil {
		return n&setID != 0, n&othersWrite != 0 && n&sticky == 0
	}
	for clause := range strings.SplitSeq(mode, ",") {
		at := strings.IndexAny(clause, "+=")
		if at < 0 {
			continue
		}
		who, what := clause[:at], clause[at+1:]
		if who == "" || strings.Contains(who, "a") {
			who = "ugo"
		}
		if strings.Contains(what, "s") && strings.ContainsAny(who, "ug") {
			setuid = true
		}
		if strings.Contains(what, "w") && !strings.Contains(what, "t") && strings.Contains(who, "o") {
			open = true
		}
	}
	return setuid, open
}
