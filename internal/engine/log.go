package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// LogName is the log's name in a container's directory.
const LogName = "log.json"

// maxLogLineBytes is where docker splits a line: a record of that length without a newline at its end
// goes on in the next record of the stream.
const maxLogLineBytes = 16 << 10

// LogEntry is one record of a log, in docker's json-file format.
type LogEntry struct {
	Log    string    `json:"log"`
	Stream string    `json:"stream"` // stdout or stderr
	Time   time.Time `json:"time"`
}

// LogWriter writes a container's log. Its streams may be written to from several goroutines.
type LogWriter struct {
	mu  sync.Mutex
	f   *os.File
	now func() time.Time
}

// OpenLog opens the log for appending; the caller closes it.
func OpenLog(path string) (*LogWriter, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640) //nolint:gosec // as docker's
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	if err := endTornRecord(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &LogWriter{f: f, now: time.Now}, nil //nolint:forbidigo // the default clock
}

// endTornRecord ends the line of a record that a killed writer left unfinished.
func endTornRecord(f *os.File) error {
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, st.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = f.WriteString("\n")
	return err
}

// Close closes the file.
func (l *LogWriter) Close() error { return l.f.Close() }

// Stream returns the writer of one stream; its Flush writes what has no newline yet.
func (l *LogWriter) Stream(name string) *LogStream { return &LogStream{log: l, name: name} }

// LogStream cuts one stream into lines.
type LogStream struct {
	log  *LogWriter
	name string
	part []byte
}

// Write takes the next bytes of the stream.
func (s *LogStream) Write(p []byte) (int, error) {
	s.part = append(s.part, p...)
	for {
		n := bytes.IndexByte(s.part, '\n') + 1
		if n == 0 || n > maxLogLineBytes {
			if len(s.part) < maxLogLineBytes {
				return len(p), nil
			}
			n = maxLogLineBytes
		}
		if err := s.log.write(s.name, s.part[:n]); err != nil {
			return 0, err
		}
		s.part = s.part[n:]
	}
}

// Flush writes the unfinished line.
func (s *LogStream) Flush() error {
	if len(s.part) == 0 {
		return nil
	}
	part := s.part
	s.part = nil
	return s.log.write(s.name, part)
}

func (l *LogWriter) write(stream string, line []byte) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(LogEntry{Log: string(line), Stream: stream, Time: l.now().UTC()}); err != nil {
		return fmt.Errorf("encode log record: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.f.Write(b.Bytes())
	return err
}

// LogReader reads a log record by record, also while it grows.
type LogReader struct {
	f    *os.File
	r    *bufio.Reader
	part []byte // a record whose end is not written yet
}

// ReadLog opens a log for reading; the caller closes it. A container that has written nothing has no log:
// fs.ErrNotExist.
func ReadLog(path string) (*LogReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &LogReader{f: f, r: bufio.NewReaderSize(f, 64<<10)}, nil
}

// Close closes the file.
func (l *LogReader) Close() error { return l.f.Close() }

// maxRecordBytes bounds a record: a line of 16 KiB whose every byte is escaped, and the rest.
const maxRecordBytes = 8 * maxLogLineBytes

// Next returns the next record; io.EOF where there is none yet: a later call may find more. Records that
// cannot be read (the writer was killed amid one) are passed over.
func (l *LogReader) Next() (LogEntry, error) {
	for {
		line, err := l.r.ReadSlice('\n')
		l.part = append(l.part, line...)
		if errors.Is(err, bufio.ErrBufferFull) && len(l.part) < maxRecordBytes {
			continue
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return LogEntry{}, err
		}
		var e LogEntry
		err = json.Unmarshal(l.part, &e)
		l.part = l.part[:0]
		if err == nil {
			return e, nil
		}
	}
}

// Tail moves to the last n records.
func (l *LogReader) Tail(n int) error {
	info, err := l.f.Stat()
	if err != nil {
		return err
	}
	offset, err := tailOffset(l.f, info.Size(), n)
	if err != nil {
		return err
	}
	_, err = l.f.Seek(offset, io.SeekStart)
	l.r.Reset(l.f)
	l.part = l.part[:0]
	return err
}

// tailOffset is where the last n lines of f's first size bytes begin; read backwards.
func tailOffset(f io.ReaderAt, size int64, n int) (int64, error) {
	if n <= 0 {
		return size, nil
	}
	const block = 32 << 10
	buf := make([]byte, block)
	seen := 0
	for end := size; end > 0; {
		begin := max(0, end-block)
		b := buf[:end-begin]
		if _, err := f.ReadAt(b, begin); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i, c := range slices.Backward(b) {
			if c != '\n' || begin+int64(i) == size-1 {
				continue
			}
			if seen++; seen == n {
				return begin + int64(i) + 1, nil
			}
		}
		end = begin
	}
	return 0, nil
}
