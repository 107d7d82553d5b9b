package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard"
)

// ErrNotFound says that an argument is neither a file nor a container. What it came to as an image is said with it.
var ErrNotFound = errors.New("no such file or container")

// RunOptions are how a run goes. The zero value works.
type RunOptions struct {
	Kind  guard.Kind // of files named as arguments and of standard input; empty: found out
	Stdin io.Reader  // for the argument "-"
	Jobs  int        // documents at work at once; 0: as many as there are processors
	// SkipUnknown leaves out files named as arguments that are nothing to check, or that the policy excludes, as a
	// walk does: for callers who name whatever has changed.
	SkipUnknown bool
	// Now is told what is waited for: the document that is next, or the directory that is searched for one. Two
	// goroutines may call it. Nil: nobody is told.
	Now func(path string)
}

// leaveAfter is how long a run that was ended waits for what cannot be ended: reading a pipe that nobody writes to,
// or a parser that knows no context.
const leaveAfter = 250 * time.Millisecond

// task is a document to be made.
type task struct {
	path  string
	check func(context.Context) *guard.Document
	done  chan *guard.Document
}

// Run checks every argument: a directory (walked), a file, "-", an image or a container, and hands the documents to
// emit in the order of the arguments, directories in lexical order. Files of a directory that are nothing to check
// are left out. It stops at emit's first error, and when ctx ends: then it may leave behind what reads a pipe.
func (c *Checker) Run(ctx context.Context, args []string, o RunOptions, emit func(*guard.Document) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	jobs := o.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	p := &pipeline{work: make(chan *task, 2*jobs), order: make(chan *task, 16*jobs), now: o.Now}
	defer p.leave()
	defer cancel(nil)
	for range jobs {
		p.running.Go(func() {
			for t := range p.work {
				t.done <- t.check(ctx)
			}
		})
	}
	p.running.Go(func() {
		defer close(p.order)
		defer close(p.work)
		r := &run{Checker: c, options: o, pipeline: p}
		if err := r.arguments(ctx, args); err != nil {
			cancel(err)
		}
	})
	return p.collect(ctx, emit)
}

// pipeline takes documents from where they are found, through the workers, to whoever hands them out in order.
type pipeline struct {
	work, order chan *task
	running     sync.WaitGroup
	now         func(path string) // nil: nobody is told
	waiting     atomic.Bool       // for a document
}

// add has a document made.
func (p *pipeline) add(ctx context.Context, path string, check func(context.Context) *guard.Document) error {
	t := &task{path, check, make(chan *guard.Document, 1)} // room, so that a worker never waits for those before it
	for _, queue := range []chan *task{p.order, p.work} {
		select {
		case queue <- t:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// collect hands out the documents.
func (p *pipeline) collect(ctx context.Context, emit func(*guard.Document) error) error {
	for t := range p.order {
		doc, err := p.wait(ctx, t)
		switch {
		case err != nil:
			return err
		case doc == nil: // nothing to check
			continue
		case ctx.Err() != nil: // it may have been cut short
			return context.Cause(ctx)
		}
		if err := emit(doc); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// wait waits for a document.
func (p *pipeline) wait(ctx context.Context, t *task) (*guard.Document, error) {
	p.waiting.Store(true)
	defer p.waiting.Store(false)
	if p.now != nil {
		p.now(t.path)
	}
	select {
	case doc := <-t.done:
		return doc, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// searching tells of a directory that is searched, where no document is waited for.
func (p *pipeline) searching(dir string) {
	if p.now != nil && !p.waiting.Load() {
		p.now(dir)
	}
}

// leave waits for the goroutines. They end at once, but for those that no context ends.
func (p *pipeline) leave() {
	done := make(chan struct{})
	go func() {
		p.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(leaveAfter):
	}
}

// run finds the documents of a run's arguments.
type run struct {
	*Checker
	*pipeline
	options RunOptions
}

func (r *run) arguments(ctx context.Context, args []string) error {
	for _, arg := range args {
		if err := r.argument(ctx, arg); err != nil {
			return err
		}
	}
	return nil
}

// argument finds out what one argument is.
func (r *run) argument(ctx context.Context, arg string) error {
	if arg == "-" {
		return r.add(ctx, arg, r.stdin)
	}
	if guard.IsImageAddress(arg) {
		return r.image(ctx, arg)
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return r.directory(ctx, arg)
	case err == nil:
		return r.add(ctx, arg, func(ctx context.Context) *guard.Document { return r.file(ctx, arg, true) })
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) || r.isPath(arg):
		return r.failed(ctx, arg, err)
	}
	return r.image(ctx, arg)
}

// failed adds a document that cannot be checked.
func (r *run) failed(ctx context.Context, path string, err error) error {
	return r.add(ctx, path, func(context.Context) *guard.Document { return &guard.Document{Path: path, Err: err} })
}

// isPath reports whether an argument can only be meant as a path.
func (c *Checker) isPath(arg string) bool {
	return strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, ".") || strings.HasSuffix(arg, "/") || c.candidate(filepath.Base(arg))
}

// image adds a container, an image, or all that a registry has.
func (r *run) image(ctx context.Context, arg string) error {
	if r.List != nil {
		names, ok, err := r.List(ctx, arg)
		if err != nil {
			return r.add(ctx, arg, func(context.Context) *guard.Document {
				return &guard.Document{Path: arg, Kind: guard.KindImage, Err: err}
			})
		}
		if ok {
			return r.images(ctx, names)
		}
	}
	return r.add(ctx, arg, func(ctx context.Context) *guard.Document { return r.containerOrImage(ctx, arg) })
}

// images adds images that were listed.
func (r *run) images(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := r.add(ctx, name, func(ctx context.Context) *guard.Document { return r.Image(ctx, name) }); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) containerOrImage(ctx context.Context, arg string) *guard.Document {
	name, only := strings.CutPrefix(arg, "container:")
	if r.Containers != nil && (only || !guard.IsImageAddress(arg)) {
		s, err := r.Containers.Container(ctx, name)
		switch {
		case err != nil:
			return &guard.Document{Path: arg, Kind: guard.KindContainer, Err: err}
		case s != nil:
			return r.container(arg, s)
		}
	}
	if only {
		return &guard.Document{Path: arg, Kind: guard.KindContainer, Err: fmt.Errorf("no such container: %s", name)}
	}
	doc := r.Image(ctx, arg)
	if doc.Err != nil && len(doc.Subjects) == 0 && !guard.IsImageAddress(arg) {
		doc.Err = fmt.Errorf("%w; as an image: %w", ErrNotFound, doc.Err)
	}
	return doc
}

// directory adds the files below dir.
func (r *run) directory(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, v1.ImageLayoutFile)); err == nil {
		return r.failed(ctx, dir, fmt.Errorf("it is an image layout: name it oci:%s", dir))
	}
	w := &walker{
		candidate: r.candidate,
		entered:   r.searching,
		found: func(name string) error {
			return r.add(ctx, name, func(ctx context.Context) *guard.Document { return r.file(ctx, name, false) })
		},
	}
	if r.Policy != nil {
		w.excluded = r.Policy.Excluded
	}
	var failed error
	w.trouble = func(name string, err error) {
		failed = errors.Join(failed, r.failed(ctx, name, err))
	}
	return errors.Join(w.walk(ctx, dir), failed)
}

// file checks a file; one that a walk met, not the user named, may be nothing to check.
func (r *run) file(ctx context.Context, name string, named bool) *guard.Document {
	optional := !named || r.options.SkipUnknown
	if named && optional && r.excluded(name) {
		return nil
	}
	data, err := readText(name, named)
	src := guard.Source{Path: name, File: name, Data: data}
	kind := r.kind(src, named, err)
	switch {
	case kind == "" && optional && r.nothing(name, named, err):
		return nil
	case kind == "" && isArchive(name):
		err = fmt.Errorf("it is an archive: if it holds an image, name it docker-archive:%s or oci-archive:%s", name, name)
	}
	if err != nil {
		return &guard.Document{Path: name, Kind: kind, Err: err}
	}
	return r.Text(ctx, src, kind)
}

// kind is what the user says a file is, or what it is found to be where it could be read.
func (r *run) kind(src guard.Source, named bool, err error) guard.Kind {
	switch {
	case named && r.options.Kind != "":
		return r.options.Kind
	case err == nil:
		return r.kindOf(src)
	}
	return ""
}

// excluded reports whether the policy leaves a file out.
func (r *run) excluded(name string) bool { return r.Policy != nil && r.Policy.Excluded(name) }

// nothing reports whether a file of no kind, read with that error, is nothing to check: what has gone since the walk met
// it is neither.
func (c *Checker) nothing(name string, named bool, err error) bool {
	return err == nil || errors.Is(err, errTooLarge) && !c.dockerfileName(name) || !named && errors.Is(err, fs.ErrNotExist)
}

// stdin checks what comes from standard input.
func (r *run) stdin(ctx context.Context) *guard.Document {
	const name = "-"
	if r.options.Stdin == nil {
		return &guard.Document{Path: name, Err: errors.New("there is no standard input")}
	}
	data, err := readAll(r.options.Stdin)
	if err != nil {
		return &guard.Document{Path: name, Err: fmt.Errorf("read standard input: %w", err)}
	}
	return r.Text(ctx, guard.Source{Path: name, Data: data}, r.options.Kind)
}
