// Package lab builds images and tries services: it is guard/harden's Lab and guard/probe's Runner.
//
// Containers are started in this process, by the engine; images are built by deckhand-build, a program of its own.
// A lab judges nothing but whether a service works, by its checks. Its invariant: when a method returns, whatever
// it returns, nothing that it started is running, and no container is left; after Close no image is.
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/imagesource"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// The limits where Options name none.
const (
	defaultPatience = 30 * time.Second
	defaultSettle   = time.Second
	defaultStop     = engine.DefaultStopSeconds * time.Second
)

// Options are a lab's. The zero value of all but Engine works, for what it is enough for.
type Options struct {
	Engine   *engine.Engine
	Programs Programs
	Env      []string // of builds and of checks on the host; nil: this process's

	Context    string   // directory to build from
	Dockerfile string   // where the Dockerfile came from: errors name it so, and its own ignore file counts
	Target     string   // stage to build
	BuildArgs  []string // NAME=VALUE, or NAME for its value in Env
	BuildFlags []string // further flags of deckhand-build

	// Check and Exercise are run in the container: by /bin/sh, or as they are where they are a JSON array.
	// CheckHost is run by sh on the host. Without Check and CheckHost the image's HEALTHCHECK is the check;
	// without that, that all TCP ports are listened on, and that the service is still running Settle later.
	Check, CheckHost, Exercise string
	NoHealthcheck              bool // the image's HEALTHCHECK does not count

	CheckTimeout time.Duration // for the check to pass, and for the exercise; 0: 30 s
	Settle       time.Duration // 0: 1 s
	StopTimeout  time.Duration // before the service is killed; 0: 10 s

	Ports []string // "6379", "53/udp": published besides those the image exposes
	// Progress gets each line that a build prints; may be nil.
	Progress func(line string)
}

// Programs are the paths of deckhand's other programs.
type Programs struct {
	Deckhand string // found first by checks on the host; may be empty
	Build    string
	Probe    string // a static program
}

// Lab is one build context and the checks of one service. Its methods may be called from several goroutines.
type Lab struct {
	o      Options
	trials *store.Trials // whose store is the engine's
	source *imagesource.Source
	now    func() time.Time

	mu    sync.Mutex
	ports []network.Port
}

var _ harden.Lab = (*Lab)(nil)

// New opens a lab. The caller closes it.
func New(o Options) (*Lab, error) {
	if o.Engine == nil || o.Engine.Store == nil {
		return nil, errors.New("open lab: it needs an engine with a store")
	}
	if o.Env == nil {
		o.Env = os.Environ()
	}
	setDefault(&o.CheckTimeout, defaultPatience)
	setDefault(&o.Settle, defaultSettle)
	setDefault(&o.StopTimeout, defaultStop)
	l := &Lab{now: time.Now} //nolint:forbidigo // the default clock
	if err := l.SetPorts(o.Ports); err != nil {
		return nil, err
	}
	var err error
	if l.trials, err = o.Engine.Store.OpenTrials(); err != nil {
		return nil, fmt.Errorf("open lab: %w", err)
	}
	e := *o.Engine
	e.Store = l.trials.Store
	o.Engine = &e
	l.o, l.source = o, imagesource.New(imagesource.Options{Store: e.Store, Offline: true})
	return l, nil
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// SetPorts replaces the ports that are published besides those the image exposes: which they are may be known
// only when a service has been watched.
func (l *Lab) SetPorts(ports []string) error {
	parsed, err := parsePorts(ports)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports = parsed
	return nil
}

// Image looks into an image of the store.
func (l *Lab) Image(ctx context.Context, id string) (*guard.Image, error) {
	img, err := l.source.Image(ctx, "store:"+id)
	if err != nil {
		return nil, fmt.Errorf("find image %s: %w", id, err)
	}
	return img, nil
}

// closeTimeout bounds the removal of images, which must not depend on the caller's context.
const closeTimeout = time.Minute

// Close removes the images that were built, but for those that somebody else has: under a name, dangling, or in a lab.
// What the builds have in their cache stays.
func (l *Lab) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := l.trials.Close(ctx); err != nil {
		return fmt.Errorf("remove the images of trials: %w", err)
	}
	return nil
}
