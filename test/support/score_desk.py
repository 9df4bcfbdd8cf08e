"""Files to score in a folder of a test, and `transcript score` run on them."""

import json

from transcript_manager.cli.main import main


class ScoreDesk:
    """A folder, which is the current one, and what the command says there."""

    def __init__(self, folder, capsys):
        self.folder = folder
        self._capsys = capsys

    def write(self, name, content):
        """Write a text, bytes, or JSON: write('refs/a.txt', 'go home')."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict | list):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self, *arguments):
        """Run the command: run('refs', 'hyps') -> code, output, errors."""
        code = main(['score', *map(str, arguments)])
        return (code, *self._capsys.readouterr())

    def value(self, *arguments):
        """Run it and return the object that it writes."""
        code, out, err = self.run(*arguments, '--format', 'json')
        assert code == 0, err
        return json.loads(out)

    def refused(self, *arguments):
        """Run it on what is wrong; returns the one line that says so."""
        code, out, err = self.run(*arguments)
        assert (code, out) == (2, '') and err.count('\n') == 1, (code, out, err)
        assert err.startswith('transcript: ')
        return err
