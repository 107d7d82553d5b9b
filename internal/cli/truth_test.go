package cli_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/transcript"
)

// TestTruth holds check to what really happens: every Dockerfile of testdata/truth is checked, built and run, and
// the users that were foretold are compared with those that the kernel shows.
//
// An archive holds the build contexts of several Dockerfiles, a directory each; those of bases.txtar are named, for
// the others to begin with. Lines of a Dockerfile that begin so are for this test:
//
//	# with FLAG...   flags for check and build
//	# may not start  check does not know whether the user is there at all
//	# says ...       what check has to say, so that it does not come to know less unnoticed
//	# is ...         what the container really is; both are written by UPDATE=1
func TestTruth(t *testing.T) {
	need.Root(t)
	e := &engine{
		env:   append(os.Environ(), "DECKHAND_DATA_ROOT="+filepath.Join(t.TempDir(), "data"), "HOME="+t.TempDir()),
		probe: probe(t),
	}
	for _, kind := range []string{"small", "accounts", "debian"} {
		e.must(t, "import", transcript.Base(t, kind), kind+":1")
	}
	for _, user := range []string{"app", "1000", "0", "toor", "nosuch", "app:audio", "00:0"} {
		e.must(t, "import", "-c", "USER "+user, transcript.Base(t, "small"), "small:user-"+strings.ReplaceAll(user, ":", "-"))
	}
	archives, err := filepath.Glob("testdata/truth/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no archives", err)
	}
	slices.SortFunc(archives, func(a, b string) int { // the bases are needed by the others
		return strings.Compare(strings.TrimSuffix(a, "bases.txtar"), strings.TrimSuffix(b, "bases.txtar"))
	})
	total := 0
	for _, archive := range archives {
		total += e.archive(t, archive)
	}
	if total < 60 {
		t.Errorf("only %d Dockerfiles", total)
	}
}

// engine runs deckhand with a data root of its own.
type engine struct {
	env   []string
	probe string // a directory with busybox
}

// archive tries all Dockerfiles of an archive, and returns how many there are.
func (e *engine) archive(t *testing.T, name string) int {
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var trials []*trial
	for i := range a.Files {
		f := &a.Files[i]
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o755); err != nil {
			t.Fatal(err)
		}
		if filepath.Base(path) == "Dockerfile" {
			trials = append(trials, &trial{engine: e, dir: filepath.Dir(path), tag: filepath.Dir(f.Name), file: f})
		}
	}
	bases := filepath.Base(name) == "bases.txtar"
	if !bases {
		e.checkAll(t, trials)
	}
	t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
		for _, c := range trials {
			t.Run(c.tag, func(t *testing.T) {
				if bases { // one is made of the other
					e.checkAll(t, []*trial{c})
				} else {
					t.Parallel()
					c.tag = "trial:" + c.tag
				}
				c.run(t)
			})
		}
	})
	e.checkImages(t, trials)
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return len(trials)
}

// checkAll checks Dockerfiles before they are built: those with flags one by one, the others at once.
func (e *engine) checkAll(t *testing.T, trials []*trial) {
	var plain []*trial
	for _, c := range trials {
		if flags := c.flags(); len(flags) > 0 {
			e.check(t, flags, c)
		} else {
			plain = append(plain, c)
		}
	}
	if len(plain) > 0 {
		e.check(t, nil, plain...)
	}
}

// checkImages checks the images that were built: nothing about their users is open.
func (e *engine) checkImages(t *testing.T, trials []*trial) {
	t.Helper()
	var built []*trial
	args := []string{"check", "--offline", "--format", "json"}
	for _, c := range trials {
		if c.began.known && !bytes.Contains(c.file.Data, []byte("FROM debian")) { // reading those takes long
			built, args = append(built, c), append(args, c.tag)
		}
	}
	if len(built) == 0 {
		return
	}
	for i, d := range e.report(t, args) {
		c, u := built[i], d.Subjects[0].User
		if u.UID != guard.Exactly(c.began.uid) || u.GID != guard.Exactly(c.began.gid) {
			t.Errorf("check says of image %s %s, and it is %s", c.tag, d.Subjects[0], c.began)
		}
		if c.began.uid == 0 && c.ran {
			d.Subjects[0].compareEnd(t, c.ended, c.failed)
		}
	}
}

// trial is one Dockerfile.
type trial struct {
	*engine
	dir  string
	tag  string
	file *txtar.File
	said verdict

	began, ended process
	ran          bool   // with its own command
	failed       string // why that failed
}

func (c *trial) run(t *testing.T) {
	said := c.said
	c.must(t, "build", slices.Concat([]string{"-q", "--network", "none", "-t", c.tag}, c.flags(), []string{c.dir})...)
	began, failure := c.start(t, "--entrypoint", "/.probe/busybox", "-v", c.probe+":/.probe:ro", c.tag, "cat", "/proc/self/status")
	if said.User.Missing != "" && !strings.Contains(failure, said.User.Missing) {
		t.Errorf("check says %q, and the container says %q and is %s", said.User.Missing, failure, began)
	}
	if said.User.Missing == "" && failure != "" && said.User.UID.Known() && !strings.Contains("\n"+string(c.file.Data), "\n# may not start\n") {
		t.Errorf("check says uid %s, and nothing starts: %s", said.User.UID, failure)
	}
	c.began = began
	is := failure
	if failure == "" {
		is = began.String()
		said.compare(t, began)
	}
	if failure == "" && began.uid == 0 && len(said.Command) > 0 {
		ended, failure := c.start(t, c.tag)
		c.ran, c.ended, c.failed = true, ended, failure
		switch {
		case failure != "":
			is += ", then " + failure
		case ended.known && ended != began:
			is += ", then " + ended.String()
		}
		said.compareEnd(t, ended, failure)
	}
	c.hold(t, "says", said.String())
	c.hold(t, "is", is)
}

// flags are those of "# with".
func (c *trial) flags() []string {
	for line := range strings.Lines(string(c.file.Data)) {
		if flags, ok := strings.CutPrefix(line, "# with "); ok {
			return strings.Fields(flags)
		}
	}
	return nil
}

// hold compares with a line of the Dockerfile, or writes it.
func (c *trial) hold(t *testing.T, word, text string) {
	line := "# " + word + " " + text + "\n"
	lines := slices.Collect(strings.Lines(string(c.file.Data)))
	at := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "# "+word+" ") })
	switch {
	case at >= 0 && lines[at] == line:
	case os.Getenv("UPDATE") != "1":
		had := "nothing"
		if at >= 0 {
			had = lines[at]
		}
		t.Errorf("got  %swant %s", line, had)
	default:
		if at >= 0 {
			lines = slices.Delete(lines, at, at+1)
		}
		at = slices.IndexFunc(lines, func(l string) bool { // behind directives
			return !strings.HasPrefix(l, "# escape") && !strings.HasPrefix(l, "# says ") && !strings.HasPrefix(l, "# with ")
		})
		c.file.Data = []byte(strings.Join(slices.Insert(lines, at, line), ""))
	}
}

// verdict is what check says of an image.
type verdict struct {
	User struct {
		Verdict  string
		UID, GID guard.ID
		Unknown  string
		Missing  string
	}
	Drop *struct {
		By      string
		UID     guard.ID
		Certain bool
	}
	Command []string
}

func (e *engine) check(t *testing.T, flags []string, trials ...*trial) {
	args := slices.Concat([]string{"check", "--offline", "--format", "json"}, flags)
	for _, c := range trials {
		args = append(args, filepath.Join(c.dir, "Dockerfile"))
	}
	for i, d := range e.report(t, args) {
		if d.Path != filepath.Join(trials[i].dir, "Dockerfile") {
			t.Fatalf("check: %s is not %s", d.Path, trials[i].dir)
		}
		trials[i].said = d.Subjects[0]
	}
}

// document is what check says of a file or an image.
type document struct {
	Path     string
	Subjects []verdict
}

// report runs check, whose last arguments are files or images; there is one subject in each.
func (e *engine) report(t *testing.T, args []string) []document {
	t.Helper()
	out, stderr, code := e.deckhand(t, args...)
	var report struct{ Documents []document }
	if err := json.Unmarshal(out, &report); err != nil || code != 0 && code != 3 {
		t.Fatalf("check: exit code %d, %v\n%s\n%s", code, err, stderr, out)
	}
	for _, d := range report.Documents {
		if len(d.Subjects) != 1 {
			t.Fatalf("check: no single subject in %s\n%s", d.Path, out)
		}
	}
	if last := args[len(args)-1]; len(report.Documents) == 0 || report.Documents[len(report.Documents)-1].Path != last {
		t.Fatalf("check: %s is not last\n%s", last, out)
	}
	return report.Documents
}

func (v verdict) String() string {
	u := v.User
	text := u.Verdict + " " + u.UID.String() + ":" + u.GID.String()
	switch {
	case u.Missing != "":
		text = "missing"
	case u.Unknown != "":
		text += ", " + u.Unknown
	}
	if v.Drop != nil {
		certain := "may become "
		if v.Drop.Certain {
			certain = "becomes "
		}
		text += ", " + certain + v.Drop.UID.String() + " by " + v.Drop.By
	}
	return text
}

// process is who a process is.
type process struct {
	uid, gid uint32
	known    bool
}

func (p process) String() string {
	if !p.known {
		return ""
	}
	return fmt.Sprintf("%d:%d", p.uid, p.gid)
}

func (v verdict) compare(t *testing.T, is process) {
	u := v.User
	if !is.known {
		t.Fatal("the container does not say who it is")
	}
	if !holds(u.UID, is.uid) || !holds(u.GID, is.gid) {
		t.Errorf("check says %s:%s, and it is %s", u.UID, u.GID, is)
	}
	if u.Verdict == "root" && is.uid != 0 || u.Verdict == "not root" && is.uid == 0 {
		t.Errorf("check says %s, and it is %s", u.Verdict, is)
	}
	if u.Missing != "" {
		t.Errorf("check says %s, and it is %s", u.Missing, is)
	}
}

// compareEnd looks at the process that the image's own command leads to.
func (v verdict) compareEnd(t *testing.T, is process, failure string) {
	if v.Drop == nil || !v.Drop.Certain {
		return
	}
	switch {
	case !is.known && failure == "":
		t.Error("check says that root is given up, and the container does not say who it is")
	case is.known && (is.uid == 0 || !holds(v.Drop.UID, is.uid)):
		t.Errorf("check says that it becomes %s, and it is %s", v.Drop.UID, is)
	}
}

func holds(id guard.ID, n uint32) bool { return id.Least <= n && n <= id.Most }

// start runs a container that says who it is, by cat /proc/self/status or id; failure is why nothing was started.
func (c *trial) start(t *testing.T, args ...string) (is process, failure string) {
	run := []string{"run", "--rm", "--root-user=allow", "--network", "none"}
	out, stderr, code := c.deckhand(t, append(run, args...)...)
	if code != 0 {
		failure, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(stderr)), "deckhand: "), "\n")
		if failure == "" || code != 125 {
			failure = fmt.Sprintf("exit code %d: %s", code, failure)
		}
		return is, failure
	}
	for i, id := range []*uint32{&is.uid, &is.gid} {
		pattern := []string{`(?:^|\n)(?:uid=|Uid:\s+)(\d+)`, `(?:\bgid=|\nGid:\s+)(\d+)`}[i]
		found := regexp.MustCompile(pattern).FindAllSubmatch(out, -1)
		if len(found) == 0 {
			return process{}, ""
		}
		n, err := strconv.ParseUint(string(found[len(found)-1][1]), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		*id = uint32(n)
	}
	is.known = true
	return is, ""
}

// probe makes a directory with a program that needs nothing of an image: BusyBox.
func probe(t *testing.T) string {
	base, err := os.Open(transcript.Base(t, "small"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = base.Close() }()
	dir := t.TempDir()
	for r := tar.NewReader(base); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatal("find busybox: ", err)
		}
		if h.Name != "./bin/busybox" {
			continue
		}
		content, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "busybox"), content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
}

// must runs a command that has to succeed.
func (e *engine) must(t *testing.T, command string, args ...string) {
	t.Helper()
	if out, stderr, code := e.deckhand(t, append([]string{command}, args...)...); code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s", command, strings.Join(args, " "), code, out, stderr)
	}
}

func (e *engine) deckhand(t *testing.T, args ...string) (stdout, stderr []byte, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "deckhand", args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = e.env, &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.Bytes(), errs.Bytes(), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), errs.Bytes(), 0
}
