package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// recentLines is how many lines of output a running step shows.
const recentLines = 6

// minCols is the width below which nothing but the title is drawn.
const minCols = 20

// ttyView draws the steps in place. Each frame is one write: up to the first row of the last frame, then
// row by row, each erased only behind its text, so that nothing flickers.
type ttyView struct {
	p     *Progress
	size  func() (cols, rows int)
	drawn []int // widths of the rows on the screen
}

// row is a line of a frame.
type row struct {
	text  string
	style Style
}

func (v *ttyView) changed(s *Step) { s.fresh = nil }

func (v *ttyView) tick() {
	if len(v.p.steps) == 0 {
		return
	}
	cols, rows := v.size()
	v.draw(v.fit(v.frame(cols, rows), rows), cols)
}

// close draws all rows, also those that live display had no room for.
func (v *ttyView) close() {
	if len(v.p.steps) == 0 {
		return
	}
	cols, _ := v.size()
	v.draw(v.frame(cols, 0), cols)
	v.drawn = nil
}

// fit drops rows of finished steps from the top until the frame fits the screen.
func (v *ttyView) fit(frame []row, rows int) []row {
	limit := max(1, rows-1)
	if len(frame) <= limit {
		return frame
	}
	drop := len(frame) - limit
	out := frame[:1]
	for _, r := range frame[1:] {
		if drop > 0 && r.style == Blue {
			drop--
			continue
		}
		out = append(out, r)
	}
	return out[:min(len(out), limit)]
}

// frame is the display's content; rows 0 asks for the final one, without output of steps.
func (v *ttyView) frame(cols, rows int) []row {
	ended := 0
	for _, s := range v.p.steps {
		if s.state != running {
			ended++
		}
	}
	title := fmt.Sprintf("[+] %s %s (%d/%d)", v.p.title, seconds(v.p.now().Sub(v.p.start)), ended, len(v.p.steps))
	if ended == len(v.p.steps) && v.p.closed {
		title += " FINISHED"
	}
	frame := []row{{text: cut(title, cols)}}
	if cols < minCols {
		return frame
	}
	room := logRoom(v.p.steps, rows)
	for _, s := range v.p.steps {
		frame = append(frame, stepRows(s, cols)...)
		if s.state == running && rows > 0 {
			frame = append(frame, logRows(s, cols, room)...)
		}
	}
	return frame
}

// logRoom is how many lines of output each running step may show on a screen of that height.
func logRoom(steps []*Step, rows int) int {
	talking, busy := 0, 0
	for _, s := range steps {
		if s.state != running {
			continue
		}
		busy += 1 + len(s.subs)
		if len(s.recent) > 0 || s.editor.line() != "" {
			talking++
		}
	}
	if talking == 0 {
		return 0
	}
	return max(0, min(recentLines, (rows-2-busy)/talking))
}

func stepRows(s *Step, cols int) []row {
	name, style := s.name, Style("")
	switch s.state {
	case succeeded:
		style = Blue
	case cached:
		name, style = "CACHED "+name, Blue
	case failed:
		name, style = "ERROR "+name, Red
	case canceled:
		name, style = "CANCELED "+name, Yellow
	case running:
	}
	status := ""
	if s.own != nil {
		status = s.own.amount()
	}
	rows := []row{{stepRow(name, status, s.elapsed(), cols), style}}
	for _, t := range s.subs {
		end, st := s.p.now(), Style("")
		if t.ended {
			end, st = t.stop, Blue
		}
		rows = append(rows, row{stepRow("=> "+t.name, t.amount(), end.Sub(t.start), cols), st})
	}
	return rows
}

// stepRow is " => name status        1.2s", exactly cols-1 wide: a full row would wrap on some terminals.
func stepRow(name, status string, d time.Duration, cols int) string {
	const prefix = " => "
	if d < 50*time.Millisecond {
		d = 0
	}
	timer := " " + seconds(d)
	left := cols - 1 - len(prefix) - len(timer)
	if status != "" && left-len(status)-1 >= minCols/2 {
		left -= len(status) + 1
		return prefix + pad(cut(name, left)+" "+status, left+len(status)+1) + timer
	}
	if left < 1 {
		return cut(prefix+name, cols-1)
	}
	return prefix + pad(cut(name, left), left) + timer
}

// logRows are the last lines of a running step's output.
func logRows(s *Step, cols, room int) []row {
	lines := s.recent
	if partial := s.editor.line(); strings.TrimSpace(partial) != "" {
		lines = append(slices.Clip(lines), partial)
	}
	lines = lines[max(0, len(lines)-room):]
	rows := make([]row, 0, len(lines))
	for _, l := range lines {
		rows = append(rows, row{cut(" => => # "+l, cols-1), Faint})
	}
	return rows
}

// draw replaces the frame on the screen with another.
func (v *ttyView) draw(frame []row, cols int) {
	var b strings.Builder
	b.WriteString("\x1b[?25l\r")
	if up := v.height(cols); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", up)
	}
	v.drawn = v.drawn[:0]
	for _, r := range frame {
		text := r.text
		v.drawn = append(v.drawn, Width(text))
		if v.p.colored && r.style != "" {
			text = paint(r.style, text)
		}
		b.WriteString(text + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J\x1b[?25h")
	_, _ = io.WriteString(v.p.w, b.String()) // a display that cannot be written is no error of the work
}

// height is how many rows the last frame takes on a screen of that width, which may have become narrower.
func (v *ttyView) height(cols int) int {
	n := 0
	for _, w := range v.drawn {
		n += max(1, (w+cols-1)/max(1, cols))
	}
	return n
}
