package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// logsOptions are the flags of logs.
type logsOptions struct {
	follow, timestamps bool
	tail, since, until string
}

func (o *logsOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.follow, "follow", "f", false, "go on as the log grows, until the container ends")
	f.StringVarP(&o.tail, "tail", "n", "all", "begin with the last `lines`")
	f.BoolVarP(&o.timestamps, "timestamps", "t", false, "show when each line was written")
	f.StringVar(&o.since, "since", "", "only what was written after this `time` (RFC 3339, Unix, or 10m for ten minutes ago)")
	f.StringVar(&o.until, "until", "", "only what was written before this `time`")
}

func newLogs(a *app) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [OPTIONS] CONTAINER",
		Short: "Show what a container has written",
		Args:  argCount(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.logs(cmd.Context(), &o, args[0])
		},
		ValidArgsFunction: a.completeContainers,
	}
	o.addFlags(cmd.Flags())
	return cmd
}

// logRange are the records to show.
type logRange struct {
	tail         int // -1: all
	since, until time.Time
}

func (o *logsOptions) rangeAt(now time.Time) (r logRange, err error) {
	r.tail = -1
	if o.tail != "all" && o.tail != "" {
		if r.tail, err = strconv.Atoi(o.tail); err != nil {
			return r, fmt.Errorf("invalid --tail %q: a number of lines, or all", o.tail)
		}
	}
	if r.since, err = parseTime(o.since, now); err != nil {
		return r, err
	}
	r.until, err = parseTime(o.until, now)
	return r, err
}

// has reports whether the record is to be shown.
func (r logRange) has(t time.Time) bool {
	return (r.since.IsZero() || !t.Before(r.since)) && (r.until.IsZero() || !t.After(r.until))
}

// parseTime reads a point in time: RFC 3339 (or its beginning), Unix seconds, or a duration back from now.
func parseTime(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return time.UnixMicro(int64(f * 1e6)), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("invalid time %q: RFC 3339, Unix seconds, or a duration such as 10m", s)
}

func (a *app) logs(ctx context.Context, o *logsOptions, name string) error {
	r, err := o.rangeAt(a.now())
	if err != nil {
		return err
	}
	s, err := a.outerStore(ctx)
	if err != nil {
		return err
	}
	rec, err := a.findContainer(s, name)
	if err != nil {
		return err
	}
	if rec.AutoRemove && !rec.Detached {
		return hint.With(fmt.Errorf("container %s keeps no log: it was run with --rm in the foreground", rec.Name),
			"keep one:  deckhand run -d --rm …")
	}
	v := &logView{app: a, options: o, window: r, running: func() bool { return isRunning(s, rec.ID) }}
	return v.show(ctx, filepath.Join(s.ContainerDir(rec.ID), engine.LogName))
}

func isRunning(s *store.Store, id string) bool {
	st, err := s.State(id)
	return err == nil && st.Status == engine.StatusRunning
}

// logView shows one log.
type logView struct {
	app     *app
	options *logsOptions
	window  logRange
	running func() bool
}

// followInterval is how often a log is looked at for more.
const followInterval = 50 * time.Millisecond

func (v *logView) show(ctx context.Context, path string) error {
	l, err := engine.ReadLog(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was written
	}
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	defer func() { _ = l.Close() }() // read only
	if v.window.tail >= 0 {
		if err := l.Tail(v.window.tail); err != nil {
			return fmt.Errorf("read log: %w", err)
		}
	}
	for {
		more := v.options.follow && v.running() // asked before reading: what is written last is read
		if err := v.copy(l); err != nil || !more {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followInterval):
		}
	}
}

// copy writes the records up to the end of what is there.
func (v *logView) copy(l *engine.LogReader) error {
	for {
		e, err := l.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if !v.window.has(e.Time) {
			continue
		}
		to := v.app.out
		if e.Stream == "stderr" {
			to = v.app.err
		}
		line := e.Log
		if v.options.timestamps {
			line = e.Time.UTC().Format("2006-01-02T15:04:05.000000000Z") + " " + line
		}
		if _, err := io.WriteString(to, line); err != nil {
			return err
		}
	}
}
