"""`transcript summarize`: a summary by a language model that the user names, its marks checked."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from transcript_manager.citations.endpoint import Answer, ask, parse_endpoint, request_body
from transcript_manager.citations.prompt import fill, read_prompt
from transcript_manager.cli.cite import check_installed, checked, write_json
from transcript_manager.cli.output import check_apart, check_output, write_output
from transcript_manager.errors import ParameterError
from transcript_manager.export.context import estimate_tokens, SEGMENT, STEPS, to_context
from transcript_manager.export.reading import read_transcript
from transcript_manager.result import Result

EXIT_OK = 0
_MAX_TIMEOUT_S = 24 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the sub-command."""
    parser.description = (
        'Send a session as numbered, time-stamped lines to a language model behind an '
        'OpenAI-compatible address, and check every time mark of its answer as `transcript cite` '
        'does. Nothing is sent but to --endpoint, which has no default: no proxy, no redirect.'
    )
    parser.add_argument('session', metavar='TRANSCRIPT', nargs='?', help='a journal, JSON or bag')
    parser.add_argument(
        '--endpoint', metavar='URL', help='base address, such as http://localhost:11434/v1'
    )
    parser.add_argument('--model', metavar='NAME', help="the model's name there")
    parser.add_argument(
        '--api-key-env', metavar='VAR', help='environment variable that holds the API key'
    )
    parser.add_argument('--prompt', metavar='FILE', help='ask this, not what --show-prompt prints')
    parser.add_argument(
        '--show-prompt', action='store_true', help='print the prompt, to edit a copy, and end'
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='print what would be sent to --endpoint, and end'
    )
    parser.add_argument('--by', choices=STEPS, default=SEGMENT, help='a line is (%(default)s)')
    parser.add_argument(
        '--timeout', type=float, default=300.0, metavar='S', help='for all of it [s] (%(default)g)'
    )
    parser.add_argument(
        '--max-tokens', type=int, metavar='N', help='let the answer have at most N tokens'
    )
    parser.add_argument(
        '--context-limit',
        type=int,
        metavar='N',
        help='send nothing if prompt and --max-tokens are more than N tokens, as estimated',
    )
    parser.add_argument('--raw', action='store_true', help="add the model's answer as it came")
    parser.add_argument('--topic', metavar='NAME', help='of a bag, if it has several sessions')
    parser.add_argument('-o', '--output', metavar='OUT', help='write to OUT, not standard output')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; returns the exit code."""
    check_output(args.output)
    check_apart(args.output, args.session, args.prompt)
    prompt = read_prompt(args.prompt)
    if args.show_prompt:
        write_output(prompt, args.output)
        return EXIT_OK
    _check(args)
    check_installed()
    endpoint = parse_endpoint(args.endpoint)
    api_key = None if args.dry_run else _api_key(args.api_key_env)
    loaded = read_transcript(args.session, topic=args.topic)
    for note in loaded.notes:
        print(f'transcript: {note}', file=sys.stderr)
    text = _filled(prompt, loaded.result, args)
    tokens = estimate_tokens(text)
    _check_fits(tokens, args)
    body = request_body(model=args.model, prompt=text, max_tokens=args.max_tokens)
    place = 'this computer' if endpoint.is_here else f'another computer: {endpoint.host}'
    print(
        f'transcript: {"would send" if args.dry_run else "sending"} '
        f'{len(loaded.result.words)} words, with the prompt about {tokens} tokens, to '
        f'{args.model} at {endpoint.url} ({place})',
        file=sys.stderr,
    )
    if args.dry_run:
        write_json(body, args.output)
        return EXIT_OK
    if endpoint.scheme == 'http' and not endpoint.is_here:
        what = 'the API key and the transcript' if api_key else 'the transcript'
        print(f'transcript: warning: http:// shows {what} to the network', file=sys.stderr)
    answer = ask(endpoint, body, timeout_s=args.timeout, api_key=api_key)
    if answer.is_cut:
        print('transcript: the answer was cut at its limit of tokens', file=sys.stderr)
    value = _value(answer, loaded.result, args, endpoint.url, tokens)
    write_json(value, args.output)
    return EXIT_OK


def _check(args: argparse.Namespace) -> None:
    missing = [
        name
        for name, value in (
            ('TRANSCRIPT', args.session),
            ('--endpoint', args.endpoint),
            ('--model', args.model),
        )
        if not value
    ]
    if missing:
        raise ParameterError(f'{" and ".join(missing)} missing: see `transcript summarize --help`')
    if not 0 < args.timeout <= _MAX_TIMEOUT_S:
        raise ParameterError(f'--timeout {args.timeout:g} is out of range: seconds, up to a day')
    for name in ('max_tokens', 'context_limit'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ParameterError(f'--{name.replace("_", "-")} {value} must be at least 1')


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, '').strip()
    if not key:
        raise ParameterError(f'--api-key-env {variable}: there is no such environment variable')
    return key


def _filled(prompt: str, result: Result, args: argparse.Namespace) -> str:
    return fill(prompt, transcript=to_context(result, by=args.by), language=result.language)


def _check_fits(tokens: int, args: argparse.Namespace) -> None:
    if args.context_limit is None:
        return
    needed = tokens + (args.max_tokens or 0)
    if needed > args.context_limit:
        shorter = ', or --by segment' if args.by != SEGMENT else ''
        raise ParameterError(
            f'about {needed} tokens are more than --context-limit {args.context_limit}: '
            f'take a shorter session{shorter}; nothing was sent'
        )


def _value(
    answer: Answer, result: Result, args: argparse.Namespace, url: str, tokens: int
) -> dict[str, Any]:
    summary = checked(answer.text, result)
    if args.raw:
        summary['raw'] = answer.raw
    value: dict[str, Any] = {
        'timestamped_summary': summary,
        'model': args.model,
        'endpoint': url,
        'is_cut': answer.is_cut,
        'estimated_tokens': tokens,
    }
    if answer.usage:
        value['usage'] = answer.usage
    return value
