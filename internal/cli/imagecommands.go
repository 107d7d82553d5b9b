package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// imageCommands lists the commands that work on images.
func imageCommands() []entry {
	return []entry{
		{"pull", groupCommon, newPull},
		{"push", groupCommon, newPush},
		{"images", groupCommon, newImages},
		{"tag", groupImages, newTag},
		{"rmi", groupImages, newRmi},
		{"history", groupImages, newHistory},
		{"inspect", groupImages, newInspect},
		{"import", groupImages, newImport},
		{"save", groupImages, newSave},
		{"load", groupImages, newLoad},
		{"image", groupImages, newImage},
	}
}

// none is docker's word for a missing name.
const none = "<none>"

// exitInterrupted is the code of a command that a signal ended.
const exitInterrupted = 130

// interruptible ends its context on the first SIGINT, SIGTERM or SIGHUP, so that a command can clear up. done turns the
// error that follows from a signal into the exit code for it.
func interruptible(ctx context.Context) (inner context.Context, done func(error) error) {
	inner, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(inner, stop) // a second signal ends the program
	return inner, func(err error) error {
		interrupted := inner.Err() != nil
		stop()
		if interrupted && err != nil {
			return &codeError{code: exitInterrupted, err: errors.New("interrupted")}
		}
		return err
	}
}

// parseRef reads an image reference that the user typed.
func parseRef(s string) (ref.Reference, error) {
	r, err := ref.Parse(s)
	if err == nil {
		return r, nil
	}
	advice := "a reference is [REGISTRY/]NAME[:TAG][@DIGEST], such as ubuntu:latest"
	if lower := strings.ToLower(s); lower != s {
		if _, e := ref.Parse(lower); e == nil {
			advice = "did you mean:  " + lower
		}
	}
	return r, hint.With(fmt.Errorf("%q: %w", s, err), advice)
}

// noSuchImage puts docker's words and a hint on an error of a store's look-up.
func noSuchImage(err error, name string) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return hint.With(&namedError{text: "No such image: " + name, err: err}, "images that are here:  deckhand images")
	case errors.Is(err, store.ErrCorrupt):
		return hint.With(err, "get it anew:  deckhand rmi -f "+name+" && deckhand pull "+name)
	}
	return err
}

// namedError has a text of its own for an error that callers can still ask about.
type namedError struct {
	text string
	err  error
}

// Error is the text.
func (e *namedError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *namedError) Unwrap() error { return e.err }

// registryHint adds the hint that a registry's error brings along.
func registryHint(err error) error {
	if e, ok := errors.AsType[*registry.Error](err); ok && e.Hint != "" {
		return hint.With(err, e.Hint)
	}
	return err
}

// errorList reports several failures, each on its line.
type errorList struct{ errs []error }

// Error is all messages, a line each.
func (l *errorList) Error() string {
	lines := make([]string, 0, len(l.errs))
	for _, e := range l.errs {
		lines = append(lines, e.Error())
	}
	return strings.Join(lines, "\ndeckhand: ")
}

// Unwrap returns all errors.
func (l *errorList) Unwrap() []error { return l.errs }

// joined is nil, the only error, or an errorList.
func joined(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return &errorList{errs}
}

// completeImages offers the names of the images that there are.
func (a *app) completeImages(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	s, err := a.outerStore(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	images, err := s.Images(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, img := range images {
		full := img.Ref.Familiar()
		short := strings.TrimSuffix(full, ":latest")
		for _, n := range []string{short, full} {
			if img.Ref.Repository != "" && strings.HasPrefix(n, prefix) {
				names = append(names, n)
				break
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeOneImage is completeImages for the first argument alone.
func (a *app) completeOneImage(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeImages(cmd, args, prefix)
}
