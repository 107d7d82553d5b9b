package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/internal/version"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// pullOptions are the flags of pull.
type pullOptions struct {
	quiet     bool
	platform  string
	tlsVerify bool
	found     func(v1.Descriptor) // told what the name stands for at the registry
}

// AddFlags adds docker's flags, and podman's --tls-verify.
func (o *pullOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print the image's name only")
	f.StringVar(&o.platform, "platform", "", "take the image for `OS/ARCH[/VARIANT]`")
	f.BoolVar(&o.tlsVerify, "tls-verify", true, "false: accept http and unknown certificates")
}

func newPull(a *app) *cobra.Command {
	o := pullOptions{tlsVerify: true}
	cmd := &cobra.Command{
		Use:   "pull [OPTIONS] NAME[:TAG|@DIGEST]",
		Short: "Get an image from a registry",
		Args:  argCount(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runPull(cmd.Context(), a, &o, args[0])
		},
		ValidArgsFunction: a.completeOneImage,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func runPull(ctx context.Context, a *app, o *pullOptions, name string) error {
	r, err := parseRef(name)
	if err != nil {
		return err
	}
	s, err := a.store(ctx)
	if err != nil {
		return err
	}
	ctx, done := interruptible(ctx)
	return done(a.pullAndPrint(ctx, s, o, r))
}

func (a *app) pullAndPrint(ctx context.Context, s *store.Store, o *pullOptions, r ref.Reference) error {
	before, err := s.Image(ctx, r.String())
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt) {
		return err
	}
	var named digest.Digest // of the index, where there is one
	o.found = func(d v1.Descriptor) { named = d.Digest }
	img, err := a.pullWith(ctx, s, r, o)
	if err != nil {
		return err
	}
	if o.quiet {
		return a.println(r.String())
	}
	status := "Downloaded newer image for "
	if before != nil && before.Target.Digest == img.Target.Digest {
		status = "Image is up to date for "
	}
	return a.println("Digest: " + named.String() + "\nStatus: " + status + r.Familiar() + "\n" + r.String())
}

// pullImage is pull for run: this machine's platform, progress shown.
func (a *app) pullImage(ctx context.Context, s *store.Store, r ref.Reference) (*store.Image, error) {
	ctx, done := interruptible(ctx)
	img, err := a.pullWith(ctx, s, r, &pullOptions{tlsVerify: true})
	return img, done(err)
}

// pullWith brings an image into the store, unpacks it and names it. On an error nothing of it is left.
func (a *app) pullWith(ctx context.Context, s *store.Store, r ref.Reference, o *pullOptions) (img *store.Image, err error) {
	client := &registry.Client{Insecure: !o.tlsVerify, UserAgent: "deckhand/" + version.Number(), Found: o.found}
	if o.platform != "" {
		if client.Platform, err = registry.ParsePlatform(o.platform); err != nil {
			return nil, err
		}
	}
	lease, err := s.Lease(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		lease.Release()
		if err != nil {
			// Layers that were complete are of no use without their image.
			_ = s.GC(context.WithoutCancel(ctx)) // the pull's own error is the one to tell
		}
	}()
	if !o.quiet {
		tag := r.Tag
		if r.Digest != "" {
			tag = r.Digest.String()
		}
		a.note("%s: Pulling from %s", tag, r.Repository)
	}
	img, err = a.fetchImage(ctx, s, client, r, o.quiet)
	if err != nil {
		return nil, registryHint(err)
	}
	return img, s.Tag(ctx, r, img.Target)
}

// fetchImage pulls and unpacks.
func (a *app) fetchImage(ctx context.Context, s *store.Store, c *registry.Client, r ref.Reference, quiet bool) (*store.Image, error) {
	var progress registry.Progress = registry.Quiet{}
	end := func(error) {}
	if !quiet {
		d := a.newBlobDisplay(false, r.Familiar())
		progress, end = d, d.end
	}
	desc, err := c.Pull(ctx, r, s, progress)
	end(err)
	if err != nil {
		return nil, err
	}
	img, err := s.ImageByManifest(ctx, desc)
	if err != nil {
		return nil, err
	}
	return img, a.unpack(ctx, s, img, quiet)
}

func layerCount(n int) string {
	if n == 1 {
		return "1 layer"
	}
	return strconv.Itoa(n) + " layers"
}

// unpack unpacks the image's layers now, so that its first container need not.
func (a *app) unpack(ctx context.Context, s *store.Store, img *store.Image, quiet bool) error {
	var step *ui.Step
	if !quiet && ui.IsTerminal(a.err) {
		p := ui.NewProgress(a.err, ui.TTY)
		p.Title("Unpacking")
		defer p.Close()
		step = p.Step(layerCount(len(img.Manifest.Layers)))
	}
	_, err := s.ImageLayers(ctx, img)
	if step != nil {
		step.Done(err)
	}
	if err != nil {
		return fmt.Errorf("unpack layers: %w", err)
	}
	return nil
}
