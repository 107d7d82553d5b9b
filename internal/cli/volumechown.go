package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// volumeChownOptions are the flags of volume chown.
type volumeChownOptions struct{ all, yes bool }

func newVolumeChown(a *app) *cobra.Command {
	var o volumeChownOptions
	cmd := &cobra.Command{
		Use:   "chown [OPTIONS] VOLUME|DIRECTORY UID[:GID]",
		Short: "Give files that belong to root to a user; without --yes only say which",
		Long: "Give the files of a volume that belong to root to a user, so that a container of that user can write to\n" +
			"them. Without --yes nothing is changed: it says what would be. Symbolic links are not followed, and other\n" +
			"file systems are not entered. Without GID groups stay as they are. A directory of the host begins with\n" +
			"a slash or a dot.",
		Example: "  deckhand volume chown redis-data 9000\n" +
			"  deckhand volume chown --yes redis-data 9000:9000",
		Args: argCount(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, done := interruptible(cmd.Context())
			return done(a.chownVolume(ctx, &o, args[0], args[1]))
		},
		ValidArgsFunction: a.completeChown,
	}
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do it")
	cmd.Flags().BoolVar(&o.all, "all", false, "files of other users as well")
	return cmd
}

func (a *app) completeChown(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) > 0:
		return nil, cobra.ShellCompDirectiveNoFileComp
	case isPath(prefix):
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return a.completeVolumes(cmd, args, prefix)
}

func (a *app) chownVolume(ctx context.Context, o *volumeChownOptions, name, owner string) error {
	c := engine.Chown{All: o.all, Apply: o.yes}
	var err error
	if c.UID, c.GID, err = parseOwner(owner); err != nil {
		return err
	}
	e, err := a.engine(ctx)
	if err != nil {
		return err
	}
	var done *engine.Chowned
	if isPath(name) {
		done, err = chownDirectory(ctx, e, name, c)
	} else {
		done, err = e.ChownVolume(ctx, name, c)
	}
	if done == nil || done.Seen == 0 {
		return explainChown(err, name, owner)
	}
	text := chownText{Chowned: done, options: o, name: name, owner: owner}.String()
	if err != nil {
		text = "interrupted; what has been changed stays so, and the same command goes on\n" + text
	}
	if _, writeErr := a.out.WriteString(text); err == nil {
		err = writeErr
	}
	if err == nil && len(done.Failed) > 0 {
		err = chownFailures(done)
	}
	return err
}

// parseOwner reads UID[:GID]; a GID of -1 means none.
func parseOwner(s string) (uid uint32, gid int64, err error) {
	u, g, hasGroup := strings.Cut(s, ":")
	n, err := strconv.ParseUint(u, 10, 32)
	m := uint64(0)
	if err == nil && hasGroup {
		m, err = strconv.ParseUint(g, 10, 32)
	}
	if err != nil {
		return 0, 0, hint.With(fmt.Errorf("invalid owner %q: it is UID[:GID], two numbers", s),
			"names belong to images; the number is said by:  deckhand run --rm --entrypoint id IMAGE")
	}
	if !hasGroup {
		return uint32(n), -1, nil
	}
	return uint32(n), int64(m), nil
}

// chownDirectory is the chown of a directory of the host.
func chownDirectory(ctx context.Context, e *engine.Engine, name string, c engine.Chown) (*engine.Chowned, error) {
	dir, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	if systemDirectory(dir) {
		return nil, fmt.Errorf("%s is the system's own: its files belong to root for a reason", dir)
	}
	if root := e.Store.Root(); engine.Below(root, dir) || engine.Below(dir, root) {
		return nil, hint.With(fmt.Errorf("%s has deckhand's own files", dir), "a volume is named by its name:  deckhand volume ls")
	}
	return e.ChownDirectory(ctx, dir, c)
}

// systemDirectory reports whether a directory is none that somebody keeps a service's data in.
func systemDirectory(dir string) bool {
	own := []string{"/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys", "/usr"}
	if slices.ContainsFunc(own, func(d string) bool { return engine.Below(dir, d) }) {
		return true
	}
	return slices.Contains([]string{"/", "/home", "/mnt", "/media", "/opt", "/root", "/run", "/srv", "/tmp", "/var", "/var/lib", "/var/log", "/var/run", "/var/tmp"}, dir)
}

// explainChown says what to type after an error of chown.
func explainChown(err error, name, owner string) error {
	if e, ok := errors.AsType[*engine.RunningError](err); ok {
		return hint.With(fmt.Errorf("change owners in %s: %w", name, err), "stop it first:  deckhand stop "+e.Container.Name)
	}
	if e, ok := errors.AsType[*engine.SymlinkError](err); ok {
		return hint.With(err, "name the directory itself:  deckhand volume chown "+hint.Word(e.Real)+" "+owner)
	}
	if errors.Is(err, store.ErrNotFound) {
		return hint.With(err, "volumes that are here:       deckhand volume ls",
			"for a directory of the host:  deckhand volume chown "+hint.Word("./"+name)+" "+owner)
	}
	return err
}

// chownFailures is the error about files that could not be changed.
func chownFailures(done *engine.Chowned) error {
	errs := done.Failed
	if n := done.MoreFailed; n > 0 {
		errs = append(slices.Clone(errs), fmt.Errorf("and %d more", n))
	}
	return joined(errs)
}

// chownText says what was done, or would be.
type chownText struct {
	*engine.Chowned
	options     *volumeChownOptions
	name, owner string
}

// String is the whole report.
func (t chownText) String() string {
	var b strings.Builder
	t.summary(&b)
	lose := choose(t.options.yes, "lost ", "would lose ")
	section(&b, t.SetID, lose+"set-id bits: no file keeps them when its owner changes")
	section(&b, t.Capabilities, lose+"file capabilities: no file keeps them when its owner changes")
	stay := choose(t.options.yes, "stayed", "would stay")
	section(&b, t.OthersFiles, "of other users "+stay+choose(t.OthersFiles.Count == 1, " as it is", " as they are")+"; --all changes those too")
	section(&b, t.Outside, stay+choose(t.Outside.Count == 1, " as it is: it has", " as they are: they have")+" a further name outside of here")
	for _, m := range t.Mounts.First {
		fmt.Fprintf(&b, "%s was not looked at: something is mounted there\n", printable(m.Path))
	}
	if !t.options.yes && t.Changed.Count > 0 {
		all := choose(t.options.all, "--all ", "")
		b.WriteString("nothing has been changed; to do it:  deckhand volume chown --yes " + all + hint.Word(t.name) + " " + t.owner + "\n")
	}
	return b.String()
}

func choose(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func (t chownText) summary(b *strings.Builder) {
	if t.Changed.Count == 0 {
		whose := choose(t.options.all, "to anybody else", "to root")
		fmt.Fprintf(b, "%s: nothing to change: of %s none belongs %s\n", t.name, plural(t.Seen, "file"), whose)
		return
	}
	verb := choose(t.options.yes, choose(t.Changed.Count == 1, "was", "were"), "would be")
	fmt.Fprintf(b, "%s: %d of %s %s given to %s: %s\n", t.name, t.Changed.Count, plural(t.Seen, "file"), verb, t.owner, t.kinds())
	list(b, t.Changed)
}

// kinds tells what the changed ones are.
func (t chownText) kinds() string {
	var parts []string
	for _, p := range []struct {
		n    int
		noun string
	}{{t.Directories, "directory"}, {t.Files, "file"}, {t.Links, "symbolic link"}, {t.Others, "special file"}} {
		if p.n == 0 {
			continue
		}
		s := plural(p.n, p.noun)
		if p.noun == "file" {
			s += " (" + ui.HumanSize(t.Bytes) + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

func plural(n int, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// section writes about files of one kind, if there are any.
func section(b *strings.Builder, f engine.Found, what string) {
	if f.Count > 0 {
		fmt.Fprintf(b, "%d %s\n", f.Count, what)
		list(b, f)
	}
}

// printable is a file's name, quoted where it could disturb the terminal.
func printable(name string) string {
	if q := strconv.Quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}

// list writes the first paths.
func list(b *strings.Builder, f engine.Found) {
	for _, o := range f.First {
		fmt.Fprintf(b, "  %d:%d  %s\n", o.UID, o.GID, printable(o.Path))
	}
	if more := f.Count - len(f.First); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}
