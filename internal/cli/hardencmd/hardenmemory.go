package hardencmd

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// The bounds of what is kept.
const (
	maxOutcomes    = 2000
	maxOutcomesSum = 256 << 20 // bytes of all
	maxOutcomeAge  = 30 * 24 * time.Hour
)

// outcomes keeps what trials came to below the data root, in a file each: an interrupted run is resumed, and a second
// one is quick. Files appear whole, and one that cannot be read is as good as none, so any number of runs may use them
// at once. It implements harden.Memory.
type outcomes struct {
	dir           string
	circumstances string // digest of what a trial depends on besides its key
	fresh         bool   // recall nothing
	hit           func() // told of everything that is recalled
	temp          func(prefix string) (*store.TempDir, error)
	now           func() time.Time

	mu       sync.Mutex
	failures []string        // files of trials that did not pass, kept or recalled by this run
	own      map[string]bool // files that this run has kept
	hits     map[string]bool // files of earlier runs that it has recalled
}

// memory opens what earlier runs kept, and drops what is old.
func (o *hardenOptions) memory(st *store.Store) (*outcomes, error) {
	dir := filepath.Join(st.Root(), "cache", "harden")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open what earlier runs found: %w", err)
	}
	circumstances, err := o.circumstances()
	if err != nil {
		return nil, fmt.Errorf("open what earlier runs found: %w", err)
	}
	m := &outcomes{
		dir: dir, circumstances: circumstances, fresh: o.fresh, temp: st.TempDir, now: o.workshop.now,
		hit: func() {}, own: map[string]bool{}, hits: map[string]bool{},
	}
	m.prune()
	return m, nil
}

// Recall implements harden.Memory.
func (m *outcomes) Recall(key string) *harden.Outcome {
	if m.fresh {
		return nil
	}
	path := m.path(key)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var out harden.Outcome
	if json.Unmarshal(data, &out) != nil || out.Stage == "" {
		return nil
	}
	now := m.now()
	_ = os.Chtimes(path, now, now) // so that what is used is kept; best effort
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.own[path] {
		m.hits[path] = true
	}
	m.failed(path, &out)
	m.hit()
	return &out
}

// Keep implements harden.Memory. What cannot be kept is found out again.
func (m *outcomes) Keep(key string, out *harden.Outcome) {
	data, err := json.Marshal(out)
	if err != nil {
		return
	}
	dir, err := m.temp("outcome")
	if err != nil {
		return
	}
	defer func() { _ = dir.Close() }() // what is left is swept by the next command
	temp, path := filepath.Join(dir.Path, "outcome"), m.path(key)
	if os.WriteFile(temp, data, 0o600) != nil || os.Rename(temp, path) != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own[path] = true
	m.failed(path, out)
}

// failed notes a trial that did not pass. The caller holds the lock.
func (m *outcomes) failed(path string, out *harden.Outcome) {
	if !out.Passed {
		m.failures = append(m.failures, path)
	}
}

// forgetFailures drops this run's trials that did not pass: what the run stumbled over may be a thing that no key names
// (a client that the check lacks), and will have been mended when it is run again.
func (m *outcomes) forgetFailures() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, path := range m.failures {
		_ = os.Remove(path) // it may be gone
	}
}

// recalled is how many trials an earlier run had made.
func (m *outcomes) recalled() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.hits)
}

func (m *outcomes) path(key string) string {
	sum := sha256.Sum256([]byte(m.circumstances + "\n" + key))
	return filepath.Join(m.dir, hex.EncodeToString(sum[:]))
}

// prune drops what was not used for long, and the oldest where there is too much.
func (m *outcomes) prune() {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil { // else it is gone
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	oldest, sum := m.now().Add(-maxOutcomeAge), int64(0)
	for i, f := range files {
		sum += f.Size()
		if i >= maxOutcomes || sum > maxOutcomesSum || f.ModTime().Before(oldest) {
			_ = os.Remove(filepath.Join(m.dir, f.Name())) // another run may have done it
		}
	}
}

// circumstances is a digest of what trials depend on and their keys may not name: this program, the kernel, the flags
// that say how to check, and the files that the check on the host names.
func (o *hardenOptions) circumstances() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	program, err := os.Stat(self)
	if err != nil {
		return "", err
	}
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return "", err
	}
	h := sha256.New()
	// A hash takes everything.
	_, _ = fmt.Fprintf(h, "1 %d %d %q\n", program.Size(), program.ModTime().UnixNano(), unix.ByteSliceToString(kernel.Release[:]))
	_, _ = fmt.Fprintf(h, "%q %q %q %q %s %s\n", o.check, o.checkHost, o.exercise, o.ports, o.checkTimeout, o.stopTimeout)
	for word := range strings.FieldsSeq(o.checkHost) {
		if err := addScript(h, strings.Trim(word, `'"`)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// maxScript bounds what is read of a file that a check names.
const maxScript = 1 << 20

// addScript adds a file that a check names to its digest. A word that is no file is only a word.
func addScript(h io.Writer, name string) error {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	_, _ = fmt.Fprintf(h, "%q %d\n", name, info.Size())
	_, err = io.Copy(h, io.LimitReader(f, maxScript))
	return err
}
