package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// WritePidFile writes a file with a pid that appears whole or not at all. With path "" there is none.
func WritePidFile(path string, pid int) error {
	if path == "" {
		return nil
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	_, err = temp.WriteString(strconv.Itoa(pid))
	err = errors.Join(err, temp.Chmod(0o644), temp.Close()) // whoever waits for it may be another user
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(temp.Name()) // the error before is the one to report
		return fmt.Errorf("write pid file: %w", err)
	}
	return nil
}
