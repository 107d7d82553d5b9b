// Package ui owns the terminal: progress, tables, sizes, durations and colours.
//
// It is the only package that writes escape sequences. Whatever comes from a container, a registry or an
// image is stripped of control characters before a terminal sees it.
package ui

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Mode is auto, tty, plain or quiet.
type Mode string

// The modes of --progress.
const (
	Auto  Mode = "auto"
	TTY   Mode = "tty"
	Plain Mode = "plain"
	Quiet Mode = "quiet"
)

// ParseMode checks the value of a --progress flag; the empty string is Auto.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case "":
		return Auto, nil
	case Auto, TTY, Plain, Quiet:
		return m, nil
	}
	return "", fmt.Errorf("parse progress mode: %q is none of auto, tty, plain, quiet", s)
}

// The size assumed for a writer that is no terminal.
const (
	defaultCols = 80
	defaultRows = 24
)

// IsTerminal reports whether w is a file that is a terminal. It takes readers as well.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// Size is the terminal's width and height in cells; 80 by 24 where w is no terminal or does not say.
func Size(w any) (cols, rows int) {
	f, ok := w.(*os.File)
	if !ok {
		return defaultCols, defaultRows
	}
	ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || ws.Col == 0 || ws.Row == 0 {
		return defaultCols, defaultRows
	}
	return int(ws.Col), int(ws.Row)
}

// Style is how Paint shows a text.
type Style string

// The styles, as parameters of SGR.
const (
	Bold   Style = "1"
	Faint  Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Blue   Style = "34"
)

// Colored reports whether colours may be written to w: a terminal that is not dumb, and NO_COLOR unset or empty.
func Colored(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && IsTerminal(w)
}

// Paint wraps s in the style if w may be coloured.
func Paint(w io.Writer, st Style, s string) string {
	if !Colored(w) {
		return s
	}
	return paint(st, s)
}

func paint(st Style, s string) string { return "\x1b[" + string(st) + "m" + s + "\x1b[0m" }
