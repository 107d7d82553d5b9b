package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/version"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// pushOptions are the flags of push.
type pushOptions struct {
	quiet     bool
	tlsVerify bool
}

// AddFlags adds docker's flags, and podman's --tls-verify.
func (o *pushOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print the image's name only")
	f.BoolVar(&o.tlsVerify, "tls-verify", true, "false: accept http and unknown certificates")
}

func newPush(a *app) *cobra.Command {
	o := pushOptions{tlsVerify: true}
	cmd := &cobra.Command{
		Use:   "push [OPTIONS] NAME[:TAG]",
		Short: "Upload an image to a registry",
		Args:  argCount(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPush(cmd.Context(), a, &o, args[0])
		},
		ValidArgsFunction: a.completeOneImage,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func runPush(ctx context.Context, a *app, o *pushOptions, name string) error {
	r, err := parseRef(name)
	if err != nil {
		return err
	}
	s, err := a.store(ctx)
	if err != nil {
		return err
	}
	ctx, done := interruptible(ctx)
	lease, err := s.Lease(ctx)
	if err != nil {
		return done(err)
	}
	defer lease.Release()
	img, err := s.Image(ctx, r.String())
	if errors.Is(err, store.ErrNotFound) {
		return done(hint.With(&namedError{"An image does not exist locally with the tag: " + r.Familiar(), err},
			"give an image that name:  deckhand tag IMAGE "+r.Familiar()))
	}
	if err != nil {
		return done(err)
	}
	return done(a.pushImage(ctx, s, o, r, img))
}

func (a *app) pushImage(ctx context.Context, s *store.Store, o *pushOptions, r ref.Reference, img *store.Image) error {
	mount, err := mountSources(ctx, s, r)
	if err != nil {
		return err
	}
	client := &registry.Client{Insecure: !o.tlsVerify, UserAgent: "deckhand/" + version.Number(), Mount: mount}
	var progress registry.Progress = registry.Quiet{}
	end := func(error) {}
	if !o.quiet {
		a.note("The push refers to repository [%s]", r.Name())
		d := a.newBlobDisplay(true, r.Familiar())
		progress, end = d, d.end
	}
	d, err := client.Push(ctx, r, img.Target, s, progress)
	end(err)
	if err != nil {
		return registryHint(err)
	}
	if o.quiet {
		return a.println(r.String())
	}
	return a.println(fmt.Sprintf("%s: digest: %s size: %d", r.Tag, d, img.Target.Size))
}

// mountSources says which layers other repositories of the same registry may have: those of images that carry
// the registry's name.
func mountSources(ctx context.Context, s *store.Store, r ref.Reference) (map[digest.Digest]string, error) {
	images, err := s.Images(ctx)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	from := map[digest.Digest]string{}
	for _, img := range images {
		if img.Ref.Registry != r.Registry || img.Ref.Repository == r.Repository {
			continue
		}
		for _, l := range img.Manifest.Layers {
			from[l.Digest] = img.Ref.Repository
		}
	}
	return from, nil
}
