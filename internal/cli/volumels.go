package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// volumeLsOptions are the flags of volume ls.
type volumeLsOptions struct {
	quiet   bool
	format  string
	filters []string
}

func newVolumeLs(a *app) *cobra.Command {
	var o volumeLsOptions
	cmd := &cobra.Command{
		Use:     "ls [OPTIONS]",
		Aliases: []string{"list"},
		Short:   "List volumes",
		Args:    argCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.listVolumes(cmd.Context(), &o)
		},
	}
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "show names only")
	cmd.Flags().StringVar(&o.format, "format", "", "`table`, json, \"table TEMPLATE\" or a Go template")
	cmd.Flags().StringArrayVarP(&o.filters, "filter", "f", nil, "show only volumes with `KEY=VALUE`: name, dangling, label, driver")
	return cmd
}

func (a *app) listVolumes(ctx context.Context, o *volumeLsOptions) error {
	e, err := a.engine(ctx) // where owners are what containers see
	if err != nil {
		return err
	}
	all, err := e.Store.Volumes()
	if err != nil {
		return err
	}
	keep, err := volumeFilter(e, o.filters)
	if err != nil {
		return err
	}
	rows := []map[string]string{}
	for _, v := range all {
		if keep(v) {
			rows = append(rows, map[string]string{
				"Driver": localDriver, "Name": v.Name, "Scope": localDriver, "Mountpoint": e.Store.VolumeDir(v.Name),
				"Labels": labelText(v.Labels), "Links": "N/A", "Size": "N/A",
				"Owner": volumeOwner(e.Store, v),
			})
		}
	}
	l := &listing{
		format: o.format, quiet: o.quiet, id: "Name", table: []string{"Driver", "Name", "Owner"},
		titles: map[string]string{"Name": "VOLUME NAME"},
	}
	return l.write(a.out, rows)
}

// volumeFilter makes a predicate of --filter's: different keys must all hold, of one key any value (of label, all).
func volumeFilter(e *engine.Engine, filters []string) (func(*store.Volume) bool, error) {
	byKey := map[string][]func(*store.Volume) bool{}
	for i, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, hint.With(fmt.Errorf("invalid argument %q for --filter: it is KEY=VALUE", f), "such as:  --filter dangling=true")
		}
		p, err := oneVolumeFilter(e, key, value)
		if err != nil {
			return nil, err
		}
		if key == "label" {
			key += strconv.Itoa(i) // each for itself
		}
		byKey[key] = append(byKey[key], p)
	}
	return func(v *store.Volume) bool {
		for _, alternatives := range byKey {
			if !slices.ContainsFunc(alternatives, func(p func(*store.Volume) bool) bool { return p(v) }) {
				return false
			}
		}
		return true
	}, nil
}

func oneVolumeFilter(e *engine.Engine, key, value string) (func(*store.Volume) bool, error) {
	switch key {
	case "name":
		return func(v *store.Volume) bool { return strings.Contains(v.Name, value) }, nil
	case "driver":
		return func(*store.Volume) bool { return value == localDriver }, nil
	case "label":
		k, want, hasValue := strings.Cut(value, "=")
		return func(v *store.Volume) bool {
			have, ok := v.Labels[k]
			return ok && (!hasValue || have == want)
		}, nil
	case "dangling":
		want, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("invalid filter 'dangling=%s': true or false", value)
		}
		users, err := e.VolumeUsers()
		return func(v *store.Volume) bool { return (len(users[v.Name]) == 0) == want }, err
	}
	return nil, hint.With(fmt.Errorf("invalid filter %q", key), "there are:  name, dangling, label, driver")
}
