"""The server of smtp.sh: FOLDER PORT [--tls CERT KEY] [--user NAME PASSWORD]. What it takes and refuses is in FOLDER/mail.jsonl."""

import argparse
import asyncio
import collections
import email
import email.policy
import json
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult


class Keeper:
    def __init__(self, file):
        self.file = file
        self.asked = collections.Counter()

    def keep(self, **line):
        with self.file.open("a") as out:
            out.write(json.dumps(line) + "\n")

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.partition("@")[0]
        answer = None
        if name == "never":
            answer = "550 5.1.1 nobody of this name is here"
        elif name.startswith("later-"):
            self.asked[address] += 1
            if self.asked[address] <= int(name.removeprefix("later-")):
                answer = "451 4.3.0 not now"
        if answer:
            self.keep(refused=address, answer=answer)
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.keep(
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            subject=mail["Subject"],
            id=mail["Message-ID"],
            references=mail["References"],
            text=mail.get_content(),
            encrypted=session.ssl is not None,
            login=session.auth_data.decode() if session.auth_data else None,
        )
        return "250 OK"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--user", nargs=2)
    args = parser.parse_args()
    more = {}
    if args.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*args.tls)
        more |= {"tls_context": context, "require_starttls": True}
    if args.user:
        name, password = (word.encode() for word in args.user)

        def authenticator(server, session, envelope, mechanism, login):
            success = (login.login, login.password) == (name, password)
            return AuthResult(success=success, handled=False, auth_data=login.login)

        more |= {"authenticator": authenticator, "auth_required": True, "auth_require_tls": bool(args.tls)}
    keeper = Keeper(args.folder / "mail.jsonl")
    keeper.file.touch()
    loop = asyncio.new_event_loop()
    factory = lambda: SMTP(keeper, hostname="localhost", loop=loop, **more)
    loop.run_until_complete(loop.create_server(factory, "127.0.0.1", args.port))
    loop.run_forever()


main()
