package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/store"
)

// createdAt is when a layer was made.
type createdAt = time.Time

// solver carries out the operations of one build.
type solver struct {
	b      *Builder
	graph  graph
	cache  *cache
	stage  *stage
	locals map[string]string // build contexts by the front end's names
	opts   Options

	mu     sync.Mutex
	undo   []func()
	images map[string]*store.Image // by the reference with digest that the front end was told
	loads  map[string]*imageLoad

	brokenPull bool // a pull was begun and failed

	ran   atomic.Bool // something was run or pulled
	files map[string]*digestFile
}

func newSolver(ctx context.Context, b *Builder, o Options) (*solver, error) {
	s := &solver{
		b: b, opts: o, images: map[string]*store.Image{}, loads: map[string]*imageLoad{},
		files: map[string]*digestFile{}, locals: map[string]string{},
	}
	tmp := sync.OnceValues(s.makeTemp)
	s.stage = &stage{store: b.Store, tmp: tmp, userXattr: b.Rootless}
	var err error
	if s.cache, err = newCache(b.Store.Root(), tmp, b.Store.HasLayer); err != nil {
		return nil, err
	}
	return s, s.setLocals(ctx, o)
}

// makeTemp makes the build's own directory, which goes with it; found unlocked, the next command removes it. A
// build that finds everything in the cache makes none.
func (s *solver) makeTemp() (string, error) {
	tmp, err := s.b.Store.TempDir("build-")
	if err != nil {
		return "", fmt.Errorf("make temporary directory: %w", err)
	}
	s.onClose(func() { _ = tmp.Close() })
	return tmp.Path, nil
}

func (s *solver) onClose(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.undo = append(s.undo, f)
}

// close gives back what the build held, the newest first.
func (s *solver) close() {
	for {
		s.mu.Lock()
		n := len(s.undo)
		if n == 0 {
			s.mu.Unlock()
			return
		}
		f := s.undo[n-1]
		s.undo = s.undo[:n-1]
		s.mu.Unlock()
		f() // may need the temporary directory, and so add to the list
	}
}

// solve returns what v makes; it is worked out once.
func (s *solver) solve(ctx context.Context, v *vertex) (*outcome, error) {
	v.once.Do(func() {
		v.out, v.err = s.solveOnce(ctx, v)
		if v.err != nil && v.source != nil && len(errdefs.Sources(v.err)) == 0 {
			v.err = errdefs.WithSource(v.err, v.source)
		}
	})
	return v.out, v.err
}

// input is a solved input of an operation.
type input struct {
	snap    *snapshot
	created map[string]createdAt
}

// inputs solves every input of v at once; the first error ends the others.
func (s *solver) inputs(ctx context.Context, v *vertex) ([]input, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ins := make([]input, len(v.inputs))
	var wg sync.WaitGroup
	for i, iv := range v.inputs {
		wg.Go(func() {
			out, err := s.solve(ctx, iv)
			if err == nil {
				ins[i].snap, err = out.snap(v.op.Inputs[i].Index)
			}
			if err != nil {
				cancel(err)
				return
			}
			ins[i].created = out.created
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return ins, nil
}

func (s *solver) solveOnce(ctx context.Context, v *vertex) (*outcome, error) {
	ins, err := s.inputs(ctx, v)
	if err != nil {
		return nil, err
	}
	switch o := v.op.Op.(type) {
	case *pb.Op_Source:
		return s.source(ctx, v, o.Source)
	case *pb.Op_Merge:
		return mergeOutcome(o.Merge, ins)
	case *pb.Op_Exec, *pb.Op_File:
		return s.step(ctx, v, ins)
	}
	return nil, fmt.Errorf("operation %T is not there yet", v.op.Op)
}

func mergeOutcome(m *pb.MergeOp, ins []input) (*outcome, error) {
	var parts []*snapshot
	for _, in := range m.Inputs {
		if in.Input >= 0 {
			parts = append(parts, ins[in.Input].snap)
		}
	}
	sn, err := merged(parts)
	if err != nil {
		return nil, err
	}
	return &outcome{snaps: []*snapshot{sn}, created: mergeCreated(ins)}, nil
}

func mergeCreated(ins []input) map[string]createdAt {
	out := map[string]createdAt{}
	for _, in := range ins {
		maps.Copy(out, in.created)
	}
	return out
}

// step takes an operation's result from the cache or runs it, under the operation's lock: no two builds run
// one step at once. No lock is held while inputs are solved, so that there is no order of locks to keep.
func (s *solver) step(ctx context.Context, v *vertex, ins []input) (*outcome, error) {
	p := s.startStep(v)
	key, err := s.key(ctx, v, ins)
	if err != nil {
		p.Done(ended(ctx, err))
		return nil, err
	}
	if !v.noCache {
		if r := s.cache.get(key); r != nil {
			p.Cached()
			p.Done(nil)
			return s.cachedOutcome(r, ins), nil
		}
	}
	r, cached, err := s.runLocked(ctx, v, ins, key, p)
	if cached {
		p.Cached()
	}
	p.Done(ended(ctx, err))
	if err != nil {
		return nil, err
	}
	return s.cachedOutcome(r, ins), nil
}

func (s *solver) runLocked(ctx context.Context, v *vertex, ins []input, key string, p Step) (r *record, cached bool, err error) {
	l, err := s.cache.lock(ctx, "build-"+key, unix.LOCK_EX, func() {
		p.Log([]byte("waiting for another build that runs this step\n"))
	})
	if err != nil {
		return nil, false, err
	}
	defer l.unlock()
	if !v.noCache {
		if r := s.cache.get(key); r != nil {
			return r, true, nil
		}
	}
	s.ran.Store(true)
	snaps, err := s.run(ctx, v, ins, p)
	if err != nil {
		return nil, false, err
	}
	rec := record{Created: s.b.Now().UTC()}
	for _, sn := range snaps {
		rec.Outputs = append(rec.Outputs, append([]string{}, sn.Layers...))
	}
	// a build context that was changed meanwhile has given a mixture, which must not be found again
	if again, err := s.key(ctx, v, ins); err != nil || again != key {
		p.Log([]byte("the build context has changed meanwhile: the result is not cached\n"))
		return &rec, false, nil // a source that is gone is a change as well
	}
	return &rec, false, s.cache.put(key, rec)
}

func (s *solver) run(ctx context.Context, v *vertex, ins []input, p Step) ([]*snapshot, error) {
	switch o := v.op.Op.(type) {
	case *pb.Op_Exec:
		return s.exec(ctx, o.Exec, ins, p)
	case *pb.Op_File:
		return s.file(ctx, o.File, ins)
	}
	return nil, fmt.Errorf("operation %T is not there yet", v.op.Op)
}

// cachedOutcome turns a record into what the next operations and the image's history need.
func (s *solver) cachedOutcome(r *record, ins []input) *outcome {
	out := &outcome{created: mergeCreated(ins)}
	for _, layers := range r.Outputs {
		out.snaps = append(out.snaps, &snapshot{Layers: layers})
		if n := len(layers); n > 0 {
			if _, ok := out.created[layers[n-1]]; !ok {
				out.created[layers[n-1]] = r.Created
			}
		}
	}
	return out
}

// key identifies an operation and everything it reads.
func (s *solver) key(ctx context.Context, v *vertex, ins []input) (string, error) {
	sels := selectors(v.op)
	keys := make([]string, len(ins))
	for i, in := range ins {
		sel, content := sels[i]
		switch {
		case content:
			d, err := s.contentKey(ctx, in.snap, sel)
			if err != nil {
				return "", err
			}
			keys[i] = "content:" + d
		case in.snap.tree != nil:
			return "", errLocalRoot
		default:
			keys[i] = layersKey(in.snap.Layers)
		}
	}
	return opKey(v.op, keys)
}

// contentKey is the digest of what the selectors see of a snapshot. Of layers it is remembered: they never
// change.
func (s *solver) contentKey(ctx context.Context, sn *snapshot, sels []selector) (string, error) {
	if sn.tree != nil {
		return treeDigest(ctx, sn.tree, sels, s.digestFile(sn.tree.dir))
	}
	memo, err := memoKey(sn.Layers, sels)
	if err != nil {
		return "", err
	}
	var d string
	if s.cache.memo(memo, &d) && d != "" {
		return d, nil
	}
	t, release, err := s.stage.view(sn)
	if err != nil {
		return "", err
	}
	defer release()
	if d, err = treeDigest(ctx, t, sels, nil); err != nil {
		return "", err
	}
	return d, s.cache.setMemo(memo, d)
}

func memoKey(layers []string, sels []selector) (string, error) {
	parts := []string{layersKey(layers)}
	for _, sel := range sels {
		parts = append(parts, sel.String())
	}
	return opKey(&pb.Op{}, parts)
}

// digestFile is the one of a build context, opened when first asked for and saved at the end.
func (s *solver) digestFile(dir string) *digestFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.files[dir]
	if d == nil {
		d = openDigestFile(s.cache.content, dir, s.b.Now())
		s.files[dir] = d
		s.undo = append(s.undo, func() { // s.mu is held
			if err := d.save(s.cache.publish); err != nil {
				s.b.Log.Debug("remember digests of the build context", "error", err)
			}
		})
	}
	return d
}

// startStep shows a vertex; what the front end makes for its own use is not shown.
func (s *solver) startStep(v *vertex) Step {
	if v.name == "" || v.internal {
		return noStep{}
	}
	return s.b.Progress.Start(v.name)
}

// noStep is a step that is not shown.
type noStep struct{}

// Log does nothing.
func (noStep) Log([]byte) {}

// Bytes does nothing.
func (noStep) Bytes(int64, int64) {}

// Cached does nothing.
func (noStep) Cached() {}

// Done does nothing.
func (noStep) Done(error) {}

// ended is how a step is shown that ends with err: one that was stopped because another failed, or because the user
// wants no more of it, has no error of its own.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Canceled
	}
	return err
}

// canceled reports whether err only says that something else failed first.
func canceled(err error) bool { return errors.Is(err, context.Canceled) }
