package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/bundle"
	"github.com/deckhand-engine/deckhand/internal/hint"
)

func newOciSpec(o *ociApp) *cobra.Command {
	var dir string
	var forUser bool
	cmd := &cobra.Command{
		Use:   "spec [OPTIONS]",
		Short: "Write a config.json to begin with",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return o.spec(dir, forUser)
		},
	}
	cmd.Flags().StringVarP(&dir, "bundle", "b", "", "`directory` of the bundle (default: this one)")
	cmd.Flags().BoolVar(&forUser, "rootless", false, "one that an ordinary user can run")
	return cmd
}

func (o *ociApp) spec(dir string, forUser bool) error {
	s := bundle.Default()
	if forUser {
		bundle.ForUser(s, uint32(os.Geteuid()), uint32(os.Getegid())) //nolint:gosec // ids are from 0 up
	}
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return fmt.Errorf("write config.json: %w", err)
	}
	path := filepath.Join(dir, "config.json")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // no secret, and to be edited
	if errors.Is(err, fs.ErrExist) {
		return hint.With(fmt.Errorf("file %s exists", path), "remove it first:  rm "+path)
	}
	if err != nil {
		return fmt.Errorf("write config.json: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Close())
}

func newOciFeatures(o *ociApp) *cobra.Command {
	return &cobra.Command{
		Use:   "features",
		Short: "Print what of the specification this runtime carries out",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return o.printJSON(bundle.Features()) },
	}
}
