package hardencmd

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

func newProbe(_ files, _ *global) *cobra.Command {
	return &cobra.Command{
		Use:   "probe [OPTIONS] IMAGE",
		Short: "Show what an attacker could do in an image's containers",
		RunE: func(*cobra.Command, []string) error {
			return hint.With(errors.New("deckhand probe is not there yet"),
				"until then: deckhand check IMAGE says what it would be allowed; docs/probes says what that is good for")
		},
	}
}
