package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// localDriver is docker's name for volumes that are directories of this machine.
const localDriver = "local"

// volumeCommands lists the commands that work on volumes.
func volumeCommands() []entry { return []entry{{"volume", groupVolumes, newVolume}} }

func newVolume(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "volume COMMAND",
		Short: "Create, list, show, mend and remove named volumes",
		RunE:  groupHelp,
	}
	cmd.AddCommand(newVolumeChown(a), newVolumeCreate(a), newVolumeInspect(a), newVolumeLs(a), newVolumePrune(a), newVolumeRm(a))
	return cmd
}

func newVolumeCreate(a *app) *cobra.Command {
	var labels []string
	var driver string
	cmd := &cobra.Command{
		Use:   "create [OPTIONS] [VOLUME]",
		Short: "Make an empty volume; one that is there stays as it is",
		Args:  argCount(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if driver != localDriver {
				return hint.With(fmt.Errorf("no volume driver %q", driver), "there is:  "+localDriver)
			}
			return a.createVolume(cmd.Context(), labels, args)
		},
		ValidArgsFunction: noCompletion,
	}
	cmd.Flags().StringArrayVar(&labels, "label", nil, "set a label, `key=value`")
	cmd.Flags().StringVarP(&driver, "driver", "d", localDriver, "the `driver`: local")
	return cmd
}

func noCompletion(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) createVolume(ctx context.Context, labels, args []string) error {
	v := &store.Volume{}
	if len(args) > 0 {
		v.Name = args[0]
		if err := store.CheckVolumeName(v.Name); err != nil {
			return err
		}
	}
	var err error
	if v.Labels, err = (&runOptions{labels: labels}).labelMap(nil); err != nil {
		return err
	}
	s, err := a.store(ctx)
	if err != nil {
		return err
	}
	if err := s.CreateVolume(v); err != nil {
		return err
	}
	return a.println(v.Name)
}

func newVolumeRm(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "rm [OPTIONS] VOLUME [VOLUME...]",
		Aliases: []string{"remove"},
		Short:   "Remove volumes that no container has, and their files",
		Args:    argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.removeVolumes(cmd.Context(), force, args)
		},
		ValidArgsFunction: a.completeVolumes,
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "missing ones are no error")
	return cmd
}

// removeVolumes prints the name of each that it removed, and goes on after an error.
func (a *app) removeVolumes(ctx context.Context, force bool, names []string) error {
	e, err := a.engine(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		err := e.RemoveVolume(ctx, name)
		if force && errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		if err == nil {
			err = a.println(name)
		}
		if err != nil {
			errs = append(errs, explainVolume(err))
		}
	}
	return joined(errs)
}

// explainVolume says what to type after an error about a volume.
func explainVolume(err error) error {
	if used, ok := errors.AsType[*engine.VolumeInUseError](err); ok {
		names := make([]string, len(used.Users))
		for i, c := range used.Users {
			names[i] = c.Name
		}
		return hint.With(err, "remove the container that has it:  deckhand rm -f "+strings.Join(names, " "))
	}
	if errors.Is(err, store.ErrNotFound) {
		return hint.With(err, "volumes that are here:  deckhand volume ls")
	}
	return err
}

// completeVolumes offers the names of the volumes that there are.
func (a *app) completeVolumes(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	s, err := a.outerStore(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := s.Volumes()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, v := range all {
		if strings.HasPrefix(v.Name, prefix) && !slices.Contains(args, v.Name) {
			names = append(names, v.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeMount offers what -v may begin with: the volumes' names, and the host's paths by the shell.
func (a *app) completeMount(cmd *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if isPath(prefix) || strings.ContainsRune(prefix, ':') {
		return nil, cobra.ShellCompDirectiveDefault
	}
	names, _ := a.completeVolumes(cmd, nil, prefix)
	for i := range names {
		names[i] += ":"
	}
	return names, cobra.ShellCompDirectiveNoSpace
}
