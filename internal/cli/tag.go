package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func newTag(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
		Short: "Give an image another name",
		Args:  argCount(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runTag(cmd.Context(), a, args[0], args[1])
		},
		ValidArgsFunction: a.completeImages,
	}
}

func runTag(ctx context.Context, a *app, source, target string) error {
	r, err := taggableRef(target)
	if err != nil {
		return err
	}
	s, err := a.outerStore(ctx)
	if err != nil {
		return err
	}
	lease, err := s.Lease(ctx)
	if err != nil {
		return err
	}
	defer lease.Release()
	img, err := s.Image(ctx, source)
	if err != nil {
		return noSuchImage(err, source)
	}
	return s.Tag(ctx, r, img.Target)
}
