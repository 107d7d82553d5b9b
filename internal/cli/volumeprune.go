package cli

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// volumePruneOptions are the flags of volume prune.
type volumePruneOptions struct {
	all, force bool
	filters    []string
}

func newVolumePrune(a *app) *cobra.Command {
	var o volumePruneOptions
	cmd := &cobra.Command{
		Use:   "prune [OPTIONS]",
		Short: "Remove the volumes that no container has and that nobody named; with -a, named ones as well",
		Args:  argCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.pruneVolumes(cmd.Context(), &o)
		},
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "remove named ones as well")
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "do not ask")
	cmd.Flags().StringArrayVar(&o.filters, "filter", nil, "remove only volumes with `KEY=VALUE`: label")
	return cmd
}

func (a *app) pruneVolumes(ctx context.Context, o *volumePruneOptions) error {
	e, err := a.engine(ctx)
	if err != nil {
		return err
	}
	keep, err := volumeFilter(e, o.filters)
	if err != nil {
		return err
	}
	if !o.force {
		which := "anonymous local volumes"
		if o.all {
			which = "all local volumes"
		}
		if ok, err := a.confirm("WARNING! This will remove " + which + " not used by at least one container.\nAre you sure you want to continue? [y/N] "); !ok {
			return err
		}
	}
	all, err := e.Store.Volumes()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(v *store.Volume) bool { return !keep(v) || !v.Anonymous && !o.all })
	return a.removeUnused(ctx, e, all)
}

// removeUnused removes those of the volumes that no container has, and says how much they were.
func (a *app) removeUnused(ctx context.Context, e *engine.Engine, volumes []*store.Volume) error {
	var reclaimed int64
	var errs []error
	head := "Deleted Volumes:\n"
	for _, v := range volumes {
		size := sizeOf(e.Store.VolumeDir(v.Name))
		err := e.RemoveVolume(ctx, v.Name)
		if errors.Is(err, store.ErrInUse) || errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		reclaimed += size
		if err := a.println(head + v.Name); err != nil {
			return err
		}
		head = ""
	}
	total := "Total reclaimed space: " + ui.HumanSize(reclaimed)
	if head == "" {
		total = "\n" + total
	}
	if err := a.println(total); err != nil {
		errs = append(errs, err)
	}
	return joined(errs)
}

// sizeOf is the space that a tree takes on the disk, in bytes; what cannot be read counts nothing.
func sizeOf(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err == nil && unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			sum += st.Blocks * 512 / max(int64(st.Nlink), 1) //nolint:gosec // a count of names
		}
		return nil
	})
	return sum
}

// confirm asks on stdout, as docker does; only a yes is one.
func (a *app) confirm(question string) (bool, error) {
	if _, err := a.out.WriteString(question); err != nil {
		return false, err
	}
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && line == "" {
		return false, a.println("") // end of input: no
	}
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(line))), nil
}
