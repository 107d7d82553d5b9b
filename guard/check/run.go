package check

import (
	"bytes"
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

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard"
)

// maxTextBytes bounds a text: bundles of manifests have megabytes, not more.
const maxTextBytes = 16 << 20

// ErrNotFound says that an argument is neither a file nor the name of a container or an image.
var ErrNotFound = errors.New("no such file, container or image")

// RunOptions are how a run goes. The zero value works.
type RunOptions struct {
	Kind  guard.Kind // of files named as arguments and of standard input; empty: found out
	Stdin io.Reader  // for the argument "-"
	Jobs  int        // documents at work at once; 0: as many as there are processors
	// SkipUnknown leaves out files named as arguments that are nothing to check, or that the policy excludes, as a
	// walk does: for callers who name whatever has changed.
	SkipUnknown bool
	// Done is told of each document that was handed out, in order; nil: nobody is.
	Done func(path string)
}

// task is a document to be made.
type task struct {
	check func(context.Context) *guard.Document
	done  chan *guard.Document
}

// Run checks every argument: a directory (walked), a file, "-", an image or a container, and hands the documents to
// emit in the order of the arguments, directories in lexical order. Files of a directory that are nothing to check
// are left out. It stops at emit's first error, and when ctx ends.
func (c *Checker) Run(ctx context.Context, args []string, o RunOptions, emit func(*guard.Document) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs := o.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	work, order := make(chan *task, 2*jobs), make(chan *task, 16*jobs)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	for range jobs {
		running.Go(func() {
			for t := range work {
				t.done <- t.check(ctx)
			}
		})
	}
	running.Go(func() {
		defer close(order)
		defer close(work)
		r := &run{Checker: c, options: o, add: func(check func(context.Context) *guard.Document) error {
			t := &task{check, newDone()}
			for _, queue := range []chan *task{order, work} {
				select {
				case queue <- t:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}}
		if err := r.arguments(ctx, args); err != nil {
			cancel(err)
		}
	})
	return collect(ctx, order, o.Done, emit)
}

// newDone has room for the document, so that a worker never waits for those before it.
func newDone() chan *guard.Document { return make(chan *guard.Document, 1) }

// collect hands out the documents.
func collect(ctx context.Context, order <-chan *task, done func(string), emit func(*guard.Document) error) error {
	for t := range order {
		var doc *guard.Document
		select {
		case doc = <-t.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if doc == nil { // nothing to check
			continue
		}
		if err := ctx.Err(); err != nil { // it may have been cut short
			return context.Cause(ctx)
		}
		if err := emit(doc); err != nil {
			return err
		}
		if done != nil {
			done(doc.Path)
		}
	}
	return context.Cause(ctx)
}

// run finds the documents of a run's arguments.
type run struct {
	*Checker
	options RunOptions
	add     func(func(context.Context) *guard.Document) error
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
		return r.add(func(ctx context.Context) *guard.Document { return r.stdin(ctx) })
	}
	if IsImageAddress(arg) {
		return r.image(ctx, arg)
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return r.directory(ctx, arg)
	case err == nil:
		return r.add(func(ctx context.Context) *guard.Document { return r.file(ctx, arg, true) })
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) || isPath(arg):
		return r.add(func(context.Context) *guard.Document { return &guard.Document{Path: arg, Err: err} })
	}
	return r.image(ctx, arg)
}

// IsImageAddress reports whether the argument says itself that it names an image or container, and where.
func IsImageAddress(arg string) bool {
	for _, scheme := range []string{"docker://", "docker-archive:", "oci:", "oci-archive:", "containers-storage:", "store:", "container:"} {
		if strings.HasPrefix(arg, scheme) {
			return true
		}
	}
	return false
}

// isPath reports whether an argument can only be meant as a path.
func isPath(arg string) bool {
	return strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, ".") || strings.HasSuffix(arg, "/") || candidate(filepath.Base(arg))
}

// image adds a container, an image, or all that a registry has.
func (r *run) image(ctx context.Context, arg string) error {
	if r.List != nil {
		names, ok, err := r.List(ctx, arg)
		if err != nil {
			return r.add(func(context.Context) *guard.Document {
				return &guard.Document{Path: arg, Kind: guard.KindImage, Err: err}
			})
		}
		if ok {
			return r.images(names)
		}
	}
	return r.add(func(ctx context.Context) *guard.Document { return r.containerOrImage(ctx, arg) })
}

// images adds images that were listed.
func (r *run) images(names []string) error {
	for _, name := range names {
		if err := r.add(func(ctx context.Context) *guard.Document { return r.Image(ctx, name) }); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) containerOrImage(ctx context.Context, arg string) *guard.Document {
	name, only := strings.CutPrefix(arg, "container:")
	if r.Containers != nil && (only || !IsImageAddress(arg)) {
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
	return r.Image(ctx, arg)
}

// directory adds the files below dir.
func (r *run) directory(ctx context.Context, dir string) error {
	w := &walker{
		found: func(name string) error {
			return r.add(func(ctx context.Context) *guard.Document { return r.file(ctx, name, false) })
		},
	}
	if r.Policy != nil {
		w.excluded = r.Policy.Excluded
	}
	var failed error
	w.trouble = func(name string, err error) {
		addErr := r.add(func(context.Context) *guard.Document { return &guard.Document{Path: name, Err: err} })
		failed = errors.Join(failed, addErr)
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
	var kind guard.Kind
	if named {
		kind = r.options.Kind
	}
	if kind == "" && err == nil {
		kind = KindOf(src)
	}
	if optional && kind == "" && nothing(name, err) {
		return nil
	}
	if err != nil {
		return &guard.Document{Path: name, Kind: kind, Err: err}
	}
	return r.Text(ctx, src, kind)
}

// excluded reports whether the policy leaves a file out.
func (r *run) excluded(name string) bool { return r.Policy != nil && r.Policy.Excluded(name) }

// nothing reports whether a file of no kind, read with that error, is nothing to check.
func nothing(name string, err error) bool {
	return err == nil || errors.Is(err, errTooLarge) && !dockerfileName(name)
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

// readText reads a file. A pipe is read only if the user named it.
func readText(name string, named bool) ([]byte, error) {
	flags := os.O_RDONLY
	if !named {
		flags |= unix.O_NONBLOCK | unix.O_NOFOLLOW // it may have become a pipe or a link since the walk met it
	}
	f, err := os.OpenFile(name, flags, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !named && !info.Mode().IsRegular():
		return nil, fmt.Errorf("read %s: no regular file", name)
	case info.Size() > maxTextBytes:
		return nil, tooLarge(name)
	}
	data, err := readAll(f)
	if errors.Is(err, errTooLarge) {
		err = tooLarge(name)
	}
	return data, err
}

var errTooLarge = fmt.Errorf("more than %d MiB, too large for a text", maxTextBytes>>20)

func tooLarge(name string) error { return fmt.Errorf("read %s: %w", name, errTooLarge) }

func readAll(in io.Reader) ([]byte, error) {
	var b bytes.Buffer
	if n, err := b.ReadFrom(io.LimitReader(in, maxTextBytes+1)); err != nil {
		return nil, err
	} else if n > maxTextBytes {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}
