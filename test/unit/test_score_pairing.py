"""`transcript score` over folders and lists: pairs, languages, sessions, bad input."""

import json
import os
from pathlib import Path
import unicodedata

import pytest
from score_desk import ScoreDesk

BAGS = Path(__file__).resolve().parent.parent / 'bags'


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    """Files in a folder, and the command run there."""
    monkeypatch.chdir(tmp_path)
    return ScoreDesk(tmp_path, capsys)


def names(value):
    return [file['name'] for file in value['files']]


# -- pairing ------------------------------------------------------------------------------------


def test_files_of_folders_are_paired_by_path_without_suffixes(desk):
    result = {'text': 'go', 'segments': []}
    for said, heard in (
        ('en/a.txt', 'en/a.json'),
        ('b.truth.json', 'b.txt'),
        ('c.txt', 'c.en.txt'),
        ('talk.v1.de.txt', 'talk.v1.de.json'),
        ('talk.v1.fr.txt', 'talk.v1.fr.json'),
        ('v1.5.txt', 'v1.5.json'),
    ):
        desk.write(f'refs/{said}', [['go', 0, 1]] if 'truth' in said else 'go')
        desk.write(f'hyps/{heard}', result if heard.endswith('.json') else 'go')
    desk.write('refs/sound.flac', b'fLaC')
    desk.write('hyps/.hidden.txt', 'x')
    found = desk.value('refs', 'hyps')
    assert sorted(names(found)) == ['b', 'c', 'en/a', 'talk.v1.de', 'talk.v1.fr', 'v1.5']
    assert found['wer'] == 0
    languages = {f['name']: f['language'] for f in found['files']}
    assert languages == {
        'b': None,
        'c': 'en',
        'en/a': 'en',
        'talk.v1.de': 'de',
        'talk.v1.fr': 'fr',
        'v1.5': None,
    }


def test_names_are_the_same_however_their_letters_are_encoded(desk):
    for form, folder in (('NFD', 'refs'), ('NFC', 'hyps')):
        desk.write(f'{folder}/{unicodedata.normalize(form, "Äpfel")}.TXT', 'go')
    assert names(desk.value('refs', 'hyps')) == ['Äpfel']


def test_names_that_are_no_text_are_shown_as_far_as_they_are(desk):
    odd = os.fsdecode(b'na\xefve\x1b')
    for folder in ('refs', 'hyps'):
        desk.write(f'{folder}/{odd}.txt', 'go')
    desk.write('refs/b.txt', '')
    desk.write('refs/\udcff.txt', '')
    desk.write('hyps/\udcff.txt', '')
    desk.write('hyps/b.txt', '')
    code, _, _ = desk.run('refs', 'hyps', '--html', 'r.html', '-o', 'out.txt')
    assert code == 0 and 'na\ufffdve\ufffd' in (desk.folder / 'out.txt').read_text('utf-8')
    assert 'na\ufffdve\ufffd' in names(desk.value('refs', 'hyps', '--html', 'r.html'))


def test_a_missing_partner_is_an_error_or_counts(desk):
    desk.write('refs/a.txt', 'go home')
    desk.write('hyps/a.txt', 'go home')
    desk.write('refs/lost.txt', 'stay here now')
    desk.write('hyps/extra.txt', 'thank you')
    line = desk.refused('refs', 'hyps')
    assert '1 without a partner in hyps: refs/lost.txt' in line
    assert '1 without a partner in refs: hyps/extra.txt' in line and 'as-empty' in line
    found = desk.value('refs', 'hyps', '--missing', 'as-empty')
    assert (found['deletions'], found['insertions'], found['words']) == (3, 2, 5)
    assert found['wer'] == 1.0 and found['mean_wer'] == pytest.approx(0.5)
    assert len(found['notes']) == 2
    assert {f['name']: (f['reference'], f['hypothesis']) for f in found['files']} == {
        'a': ('refs/a.txt', 'hyps/a.txt'),
        'lost': ('refs/lost.txt', None),
        'extra': (None, 'hyps/extra.txt'),
    }
    for k in range(9):
        desk.write(f'refs/more{k}.txt', 'x')
    assert 'and 7 more' in desk.refused('refs', 'hyps')


def test_what_cannot_be_paired_is_refused(desk, tmp_path):
    desk.write('refs/a.txt', 'go')
    desk.write('hyps/b.txt', 'go')
    assert 'no file of refs (1 to read) has a partner in hyps (1)' in desk.refused('refs', 'hyps')
    desk.write('hyps/a.txt', 'go')
    desk.write('hyps/a.json', {'text': 'go'})
    assert "hyps/a.json and hyps/a.txt are both 'a'" in desk.refused('refs', 'hyps')
    (tmp_path / 'hyps' / 'a.json').unlink()
    desk.write('hyps/a.en.txt', 'go')
    assert 'hyps/a.en.txt' in desk.refused('refs', 'hyps')  # a.txt is paired, this is left
    assert 'refs is a folder' in desk.refused('refs', 'hyps/a.txt')
    assert 'refs is given twice' in desk.refused('refs', './refs')
    assert 'cannot read' in desk.refused('refs/none.txt', 'hyps/a.txt')
    desk.write('hyps/a.en.txt', b'\xff')
    assert 'hyps/a.en.txt is not UTF-8' in desk.refused('refs/a.txt', 'hyps/a.en.txt')


def test_links_are_followed_once(desk, tmp_path):
    desk.write('elsewhere/a.txt', 'go')
    desk.write('refs/b.txt', 'go')
    (tmp_path / 'refs' / 'de').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere' / 'up').symlink_to(tmp_path / 'refs')
    desk.write('hyps/de/a.txt', 'go')
    desk.write('hyps/b.txt', 'go')
    assert sorted(names(desk.value('refs', 'hyps'))) == ['b', 'de/a']


def test_a_list_says_what_belongs_together(desk, tmp_path):
    desk.write('sub/one.txt', 'go home')
    desk.write('sub/two.de.txt', 'komm her')
    desk.write('sub/heard.json', {'text': 'go home', 'language': 'fr'})
    desk.write(
        'sub/list.tsv',
        '\ufeff# what\tbelongs\r\n\r\none.txt\theard.json\r\ntwo.de.txt\theard.json\ten-GB\n'
        'one.txt\ttwo.de.txt\n',
    )
    found = desk.value('--list', 'sub/list.tsv')
    assert [(f['name'], f['language']) for f in found['files']] == [
        ('one.txt', None),
        ('two.de.txt', 'en-gb'),
        ('one.txt', 'fr'),
    ]
    assert desk.value('--list', 'sub/list.tsv', '--language', 'it')['files'][0]['language'] == 'it'
    assert desk.value('--list', tmp_path / 'sub' / 'list.tsv')['words'] == 6


@pytest.mark.parametrize(
    ('content', 'wrong'),
    [
        ('a.txt\n', 'line 1 is not REF<TAB>HYP'),
        ('# x\na.txt\t\n', 'line 2 is not REF<TAB>HYP'),
        ('a.txt\tb.txt\ten\tx\n', 'line 1 is not REF<TAB>HYP'),
        ('a.txt\tb.txt\t?!\n', "line 1: '?!' is no language"),
        ('a.txt\tnone.txt\n', 'line 1: there is no none.txt'),
        ('a.txt\tb\0.txt\n', 'line 1: there is no'),
        ('a.txt\tb.txt\na.txt\tb.txt\n', 'line 2 repeats line 1'),
        ('# nothing\n', 'lists no files'),
        (b'\xff\xfe', 'is not UTF-8'),
    ],
)
def test_a_list_that_is_wrong_is_refused(desk, content, wrong):
    desk.write('a.txt', 'go')
    desk.write('b.txt', 'go')
    desk.write('list.tsv', content)
    assert wrong in desk.refused('--list', 'list.tsv')


def test_a_listed_file_that_is_missing_can_count(desk):
    desk.write('a.txt', 'go home')
    desk.write('list.tsv', 'a.txt\tnone.txt\n')
    assert desk.value('--list', 'list.tsv', '--missing', 'as-empty')['deletions'] == 2


# -- languages ----------------------------------------------------------------------------------


def test_languages_and_scripts(desk):
    decomposed = unicodedata.normalize('NFD', 'Die Tür über Äpfeln, größer')
    assert decomposed != unicodedata.normalize('NFC', decomposed)
    for name, said, heard in (
        ('de', decomposed, 'die tür über äpfeln GRÖSSER'),
        ('ja', '小さな赤い箱。', '小さな青い箱'),
        ('ar', 'الروبوت يحمل صندوقا', 'الروبوت صندوقا'),
        ('he', 'הרובוט נושא קופסה', 'הרובוט נושא קופסה אדומה'),
    ):
        desk.write(f'refs/{name}/a.txt', said)
        desk.write(f'hyps/{name}/a.json', {'text': heard, 'language': 'en'})  # wrongly detected
    desk.write('refs/b.txt', 'go')
    desk.write('hyps/b.txt', 'go')
    found = desk.value('refs', 'hyps')
    rows = {g['language']: g for g in found['languages']}
    assert list(rows) == ['ar', 'de', 'he', 'ja', None]
    assert rows['de']['wer'] == 0 and rows['de']['words'] == 5
    assert (rows['ja']['compared_by'], rows['ja']['words']) == ('characters', 6)
    assert rows['ja']['substitutions'] == 1 and rows['ja']['wer'] == rows['ja']['cer']
    assert rows['ar']['compared_by'] == 'words'
    assert (rows['ar']['deletions'], rows['he']['insertions']) == (1, 1)
    _, out, _ = desk.run('refs', 'hyps')
    assert 'ja (by character)' in out and 'unknown' in out


def test_where_a_language_comes_from(desk):
    def language(*options):
        return desk.value(*options)['files'][0]['language']

    desk.write('refs/a.txt', 'go')
    desk.write('hyps/a.txt', 'go')
    assert language('refs', 'hyps') is None
    assert language('refs', 'hyps', '--language', 'PT_br') == 'pt-br'
    desk.write('hyps/a.json', {'text': 'go', 'language': 'fr'})
    (Path('hyps') / 'a.txt').unlink()
    assert language('refs', 'hyps', '--language', 'pt') == 'fr'
    (Path('refs') / 'a.txt').rename('refs/a.de.txt')
    assert language('refs', 'hyps') == 'de'
    Path('refs/a.de.txt').unlink()
    desk.write('refs/a.json', {'text': 'go', 'language': 'es'})
    assert language('refs', 'hyps') == 'es'
    desk.write('hyps/a.json', {'text': 'go', 'language': '<script>'})
    desk.write('refs/a.json', {'text': 'go', 'language': 7})
    assert language('refs', 'hyps') is None


# -- what is read -------------------------------------------------------------------------------


def test_sessions_of_every_kind_are_read(desk, tmp_path):
    bag = BAGS / 'second'
    truth = BAGS / 'second.truth.json'
    code, out, err = desk.run(truth, bag)
    assert code == 0 and out.startswith('WER ')
    desk.write('refs/second.truth.json', truth.read_bytes())
    (tmp_path / 'hyps').mkdir()
    (tmp_path / 'hyps' / 'second').symlink_to(bag)
    found = desk.value('refs', 'hyps')
    assert out.startswith(f'WER {100 * found["wer"]:.2f} %') and found['wer'] < 0.2
    window = {'stamp': 0.0, 'duration': 2.0, 'segments': []}
    said = {'text': ' go', 'p': 0.9, 'start': 0.5, 'end': 1.0, 'id': 0}
    heard = {**window, 'segments': [{'start': 0.5, 'end': 1.0, 'tokens': [said]}]}
    desk.write('ref.txt', 'go home')
    desk.write('tokens.jsonl', json.dumps(heard) + '\n' + json.dumps(heard) + '\n')
    assert desk.run('ref.txt', 'tokens.jsonl')[1].startswith(
        'WER 50.00 %: 0 substituted, 1 deleted'
    )
    desk.write('silent.jsonl', json.dumps(window) + '\n')  # nobody was understood: all deleted
    assert desk.run('ref.txt', 'silent.jsonl')[1].startswith('WER 100.00 %')


def test_empty_references_are_noted_and_all_of_them_refused(desk):
    desk.write('refs/a.txt', '[silence]')
    desk.write('hyps/a.txt', 'thank you')
    desk.write('refs/b.txt', '')
    desk.write('hyps/b.txt', '...')
    assert 'refs holds no words to compare with' in desk.refused('refs', 'hyps')
    desk.write('refs/c.txt', 'go home')
    desk.write('hyps/c.txt', 'go home')
    found = desk.value('refs', 'hyps')
    assert (found['insertions'], found['words'], found['wer']) == (2, 2, 1.0)
    assert found['mean_wer'] == 0  # a rate of no words is none
    assert [f['wer'] for f in found['files']] == [None, 0.0, 0.0]
    assert found['lengths'][0]['words_in_reference'] == '0'
    _, out, err = desk.run('refs', 'hyps')
    assert 'a has an empty reference: what was heard counts as insertions (2)' in err
    assert 'b has an empty reference: it counts nothing' in err and 'Mean of 1 file' in out


def test_a_bad_file_of_many_is_named(desk, tmp_path):
    for k in range(3):
        desk.write(f'refs/{k}.txt', 'go')
        desk.write(f'hyps/{k}.json', {'text': 'go'})
    desk.write('hyps/1.json', {'segments': 1})
    assert 'hyps/1.json is JSON, but neither' in desk.refused('refs', 'hyps', '--html', 'r.html')
    desk.write('hyps/1.json', '{"text": "go"')
    assert 'hyps/1.json is not JSON' in desk.refused('refs', 'hyps', '-o', 'out.txt')
    assert not (tmp_path / 'r.html').exists() and not (tmp_path / 'out.txt').exists()


def test_options_that_cannot_be_are_refused(desk, tmp_path):
    desk.write('a.txt', 'go')
    desk.write('b.txt', 'go')
    assert 'give REF and HYP' in desk.refused()
    assert 'give REF and HYP' in desk.refused('a.txt')
    assert 'not both' in desk.refused('a.txt', 'b.txt', '--list', 'x.tsv')
    assert '--worst -1' in desk.refused('a.txt', 'b.txt', '--worst', '-1')
    assert "--language 'german!'" in desk.refused('a.txt', 'b.txt', '--language', 'german!')
    assert 'cannot write none/r.html' in desk.refused('a.txt', 'b.txt', '--html', 'none/r.html')
    assert 'cannot write .' in desk.refused('a.txt', 'b.txt', '-o', '.')
    assert 'the same file' in desk.refused('a.txt', 'b.txt', '-o', 'x', '--html', './x')
    assert 'b.txt is one of the files' in desk.refused('a.txt', 'b.txt', '--html', 'b.txt')
    assert (tmp_path / 'b.txt').read_text() == 'go'
