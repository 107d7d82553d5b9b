package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// importOptions are the flags of import.
type importOptions struct {
	changes  []string
	message  string
	platform string
}

// AddFlags adds docker's flags.
func (o *importOptions) AddFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.changes, "change", "c", nil, "apply a Dockerfile `instruction` to the image")
	f.StringVarP(&o.message, "message", "m", "", "set the commit `message`")
	f.StringVar(&o.platform, "platform", "", "say what the files are for, `OS/ARCH` (default: this machine's)")
}

func newImport(a *app) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import [OPTIONS] FILE|- [REPOSITORY[:TAG]]",
		Short: "Make an image of a root filesystem's tar archive (plain, gzip, zstd, xz, bzip2)",
		Args:  argCount(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runImport(cmd.Context(), a, &o, args)
		},
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func runImport(ctx context.Context, a *app, o *importOptions, args []string) error {
	config, err := o.config(args[0])
	if err != nil {
		return err
	}
	var r ref.Reference
	if len(args) > 1 {
		if r, err = taggableRef(args[1]); err != nil {
			return err
		}
	}
	s, err := a.store(ctx)
	if err != nil {
		return err
	}
	f, err := a.openInput(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	ctx, done := interruptible(ctx)
	in := a.watchFile(ctx, f, "Importing", args[0])
	img, err := importImage(ctx, s, in, *config, r)
	in.end(err)
	if err != nil {
		return done(fmt.Errorf("import %s: %w", args[0], err))
	}
	return done(a.println(img.ID.String()))
}

// importImage makes the image and names it; garbage collection stays out until it has its name.
func importImage(ctx context.Context, s *store.Store, in io.Reader, config dockerspec.DockerOCIImage, r ref.Reference) (*store.Image, error) {
	lease, err := s.Lease(ctx)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	img, err := s.Import(ctx, in, config)
	if err != nil {
		return nil, err
	}
	if r.Repository == "" {
		return img, s.KeepUntagged(ctx, img.Target)
	}
	return img, s.Tag(ctx, r, img.Target)
}

// config is the image's configuration but for its layer.
func (o *importOptions) config(source string) (*dockerspec.DockerOCIImage, error) {
	now := time.Now().UTC() //nolint:forbidigo // an import's date is the date of the import
	c := &dockerspec.DockerOCIImage{}
	c.Created = &now
	c.Platform = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if o.platform != "" {
		p, err := registry.ParsePlatform(o.platform)
		if err != nil {
			return nil, err
		}
		c.Platform = p
	}
	comment := o.message
	if comment == "" {
		comment = "Imported from " + source
	}
	c.History = []v1.History{{Created: &now, Comment: comment}}
	return c, applyChanges(&c.Config, o.changes)
}

// taggableRef reads a reference that an image is to be named by.
func taggableRef(s string) (ref.Reference, error) {
	r, err := parseRef(s)
	if err == nil && r.Digest != "" {
		err = hint.With(fmt.Errorf("%q: refusing to create a tag with a digest reference", s), "leave out the part from @ on")
	}
	return r, err
}

// openInput opens a file, or stdin for "-".
func (a *app) openInput(name string) (*os.File, error) {
	if name == "-" {
		if ui.IsTerminal(a.in) {
			return nil, hint.With(fmt.Errorf("stdin is a terminal, not an archive"), "redirect it:  deckhand … - < FILE")
		}
		return a.in, nil
	}
	if scheme, _, ok := strings.Cut(name, "://"); ok && (scheme == "http" || scheme == "https") {
		return nil, hint.With(fmt.Errorf("%s is an address; deckhand reads files only", name), "fetch it:  curl -fL "+name+" | deckhand import - NAME")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		_ = f.Close() // only opened
		return nil, hint.With(fmt.Errorf("%s is a directory", name), "pack it:  tar -C "+name+" -c . | deckhand import - NAME")
	}
	return f, nil
}
