package hardencmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

func newHarden(_ files, _ *global) *cobra.Command {
	return &cobra.Command{
		Use:   "harden [OPTIONS] DIR|DOCKERFILE|IMAGE",
		Short: "Take root away from a service, and prove that it still works",
		RunE: func(*cobra.Command, []string) error {
			return hint.With(errors.New("deckhand harden is not there yet"),
				"until then: change the Dockerfile as deckhand check proposes, build it, run it, and try the service")
		},
	}
}
