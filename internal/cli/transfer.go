package cli

import (
	"context"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/registry"
)

// watch is a reader that shows on a terminal how much has been read. Without one it shows nothing.
type watch struct {
	r     io.Reader
	prog  *ui.Progress
	step  *ui.Step
	n     int64
	total int64 // 0: unknown
}

// watchFile shows how far f has been read: title "Importing", name "rootfs.tar". A read that waits ends with ctx.
func (a *app) watchFile(ctx context.Context, f *os.File, title, name string) *watch {
	w := &watch{r: f}
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		w.total = st.Size()
	} else {
		w.r = patiently(ctx, f)
	}
	if title != "" && ui.IsTerminal(a.err) {
		w.prog = ui.NewProgress(a.err, ui.TTY)
		w.prog.Title(title)
		w.step = w.prog.Step(name)
	}
	return w
}

// Read implements io.Reader.
func (w *watch) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	w.n += int64(n)
	if w.step != nil {
		w.step.Bytes(w.n, w.total)
	}
	return n, err
}

// end finishes the display.
func (w *watch) end(err error) {
	if w.prog != nil {
		w.step.Done(err)
		w.prog.Close()
	}
}

// blobDisplay shows a registry's transfers: on a terminal live, elsewhere docker's line for each change of state.
type blobDisplay struct {
	mu    sync.Mutex
	out   io.Writer
	prog  *ui.Progress
	push  bool
	steps map[digest.Digest]*ui.Step
	state map[digest.Digest]string
}

// newBlobDisplay writes to stderr, about a push or a pull of the named image.
func (a *app) newBlobDisplay(push bool, image string) *blobDisplay {
	title := "Pulling " + image
	if push {
		title = "Pushing " + image
	}
	d := &blobDisplay{out: a.err, push: push, steps: map[digest.Digest]*ui.Step{}, state: map[digest.Digest]string{}}
	if ui.IsTerminal(a.err) {
		d.prog = ui.NewProgress(a.err, ui.TTY)
		d.prog.Title(title)
	}
	return d
}

// words are docker's for the states of a transfer.
func (d *blobDisplay) words(state string) string {
	switch state {
	case registry.StateWaiting:
		return "Waiting"
	case registry.StateExists:
		if d.push {
			return "Layer already exists"
		}
		return "Already exists"
	case registry.StateMounted:
		return "Mounted from another repository"
	case registry.StateRetry:
		return "Retrying"
	case registry.StatePulling:
		return "Downloading"
	case registry.StatePushing:
		return "Pushing"
	}
	if d.push {
		return "Pushed"
	}
	return "Pull complete"
}

// Blob implements registry.Progress.
func (d *blobDisplay) Blob(desc v1.Descriptor, done int64, state string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.prog == nil {
		d.line(desc, state)
		return
	}
	s := d.steps[desc.Digest]
	if s == nil {
		s = d.prog.Step(shortDigest(desc.Digest))
		d.steps[desc.Digest] = s
	}
	switch state {
	case registry.StateExists, registry.StateMounted:
		s.Cached()
	case registry.StateDone:
		s.Bytes(desc.Size, desc.Size)
		s.Done(nil)
	case registry.StateWaiting:
	default:
		s.Bytes(done, desc.Size)
	}
}

// line writes a change of state; the bytes in between are not worth a line.
func (d *blobDisplay) line(desc v1.Descriptor, state string) {
	if d.state[desc.Digest] == state || state == registry.StateWaiting {
		return
	}
	d.state[desc.Digest] = state
	_, _ = io.WriteString(d.out, shortDigest(desc.Digest)+": "+d.words(state)+"\n") // progress that cannot be shown is no error
}

// end finishes the display; what is under way has failed with err.
func (d *blobDisplay) end(err error) {
	if d.prog == nil {
		return
	}
	d.mu.Lock()
	for _, s := range d.steps {
		s.Done(err)
	}
	d.mu.Unlock()
	d.prog.Close()
}

// shortDigest is the 12 digits that docker shows.
func shortDigest(d digest.Digest) string {
	const digits = 12
	_, hex, ok := strings.Cut(string(d), ":")
	if !ok || len(hex) < digits {
		return string(d)
	}
	return hex[:digits]
}
