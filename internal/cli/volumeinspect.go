package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/store"
)

// volumeReport is a volume as docker volume inspect shows it.
type volumeReport struct {
	CreatedAt  string            `json:"CreatedAt"`
	Driver     string            `json:"Driver"`
	Labels     map[string]string `json:"Labels"`
	Mountpoint string            `json:"Mountpoint"`
	Name       string            `json:"Name"`
	Options    map[string]string `json:"Options"`
	Scope      string            `json:"Scope"`

	Owner string `json:"Owner"` // uid:gid of its top directory, root marked; not docker's
}

func newVolumeInspect(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "inspect [OPTIONS] VOLUME [VOLUME...]",
		Short: "Show everything about volumes, as docker's JSON",
		Args:  argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inspectVolumes(cmd.Context(), format, args)
		},
		ValidArgsFunction: a.completeVolumes,
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "`json`, or a Go template")
	return cmd
}

func (a *app) inspectVolumes(ctx context.Context, format string, names []string) error {
	s, err := a.store(ctx) // where owners are what containers see
	if err != nil {
		return err
	}
	found := make([]any, 0, len(names))
	var errs []error
	for _, name := range names {
		v, err := s.Volume(name)
		if err != nil {
			errs = append(errs, explainVolume(err))
			continue
		}
		found = append(found, &volumeReport{
			CreatedAt: v.Created.UTC().Format(time.RFC3339), Driver: localDriver, Labels: v.Labels,
			Mountpoint: s.VolumeDir(v.Name), Name: v.Name, Scope: localDriver, Owner: volumeOwner(s, v),
		})
	}
	if err := a.printInspected(found, format); err != nil {
		errs = append([]error{err}, errs...)
	}
	return joined(errs)
}

// volumeOwner is whose the volume's top directory is; root is marked. Empty where that cannot be read.
func volumeOwner(s *store.Store, v *store.Volume) string {
	var st unix.Stat_t
	if err := unix.Lstat(s.VolumeDir(v.Name), &st); err != nil {
		return ""
	}
	return userText(fmt.Sprintf("%d:%d", st.Uid, st.Gid))
}
