"""Apache Kafka on loopback: broker and controller in one JVM, as durable as one machine can be."""

import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from redress.failures import NotRunning
from redress.stack import archives, ports, waiting
from redress.stack.java import java
from redress.stack.layout import Layout
from redress.stack.processes import Processes, Program, last_lines, quoted

NAME = "kafka"
HEAP = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
# One node: every internal topic has one replica, and nobody else is waited for.
SINGLE = (
    "node.id",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "transaction.state.log.min.isr",
    "share.coordinator.state.topic.replication.factor",
    "share.coordinator.state.topic.min.isr",
)
# The broker's own log as JSON lines; the hook is off because it only warns at every orderly stop.
LOG4J = """<Configuration status="say" shutdownHook="disable"><Appenders>
<RollingFile name="file" fileName="{log}" filePattern="{log}.%i"><PatternLayout alwaysWriteExceptions="false"
 pattern='{{"time":"%d{{yyyy-MM-dd&apos;T&apos;HH:mm:ss.SSS}}{{UTC}}Z","level":"%p","logger":"%c",\
"message":"%enc{{%m %throwable}}{{JSON}}"}}%n'/>
<SizeBasedTriggeringPolicy size="20MB"/></RollingFile></Appenders>
<Loggers><Root level="info"><AppenderRef ref="file"/></Root></Loggers></Configuration>
"""
ALREADY_THERE = 36


@dataclass(frozen=True)
class Kafka:
    """The broker of one stack."""

    layout: Layout
    processes: Processes
    port: int
    controller_port: int
    durable: bool = True

    @property
    def bootstrap(self) -> str:
        """The address that clients are given."""
        return f"127.0.0.1:{self.port}"

    @property
    def version(self) -> str:
        """The version that is pinned."""
        return _broker().coordinates.split("+")[0].rsplit(":", 1)[1]

    def start(self) -> None:
        """Start the broker, formatting its folder the first time; returns before it is ready."""
        java_command = self._java()
        config = self._write_config()
        if not (self.layout.kafka / "meta.properties").exists():
            self._format(java_command, config)
        command = (*java_command, "kafka.Kafka", str(config))
        self.processes.start(Program(NAME, command, cwd=self.layout.run, output="out"))

    def wait_ready(self, patience: float = 60) -> None:
        """Wait until it answers as a broker, not only accepts connections."""

        def decided() -> bool:
            return self.processes.find(NAME) is None or waiting.run(is_ready(self.bootstrap))

        if not waiting.until(decided, patience) or self.processes.find(NAME) is None:
            raise NotRunning(
                f"Kafka did not come up. The last lines of {self._log}:\n{quoted(self.last_lines())}",
                "Read the whole log there.",
            )

    def last_lines(self) -> list[str]:
        """What it said last: the JVM on its output, then the broker in its own log."""
        printed = last_lines(self.processes.log(NAME, "out"), 6)
        return [*printed, *(_readable(line) for line in last_lines(self._log))]

    @property
    def _log(self) -> Path:
        return self.processes.log(NAME)

    def _java(self) -> tuple[str, ...]:
        log4j = self.layout.run / "kafka.log4j2.xml"
        log4j.write_text(LOG4J.format(log=self._log))
        jars = archives.fetch(_broker(), self.processes.say)
        properties = ("-Djava.awt.headless=true", f"-Dlog4j2.configurationFile={log4j}")
        return (str(java()), *HEAP, *properties, "-cp", os.pathsep.join(map(str, jars)))

    def _format(self, java_command: tuple[str, ...], config: Path) -> None:
        cluster = "redress" + secrets.token_urlsafe(16)[:15]  # 22 characters, not beginning with '-'
        arguments = ("kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", str(config))
        done = subprocess.run([*java_command, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotRunning(
                f"Kafka's folder {self.layout.kafka} could not be prepared:\n{done.stderr[-1500:]}"
            )

    def _write_config(self) -> Path:
        config = self.layout.run / "kafka.properties"
        config.write_text("".join(f"{key}={value}\n" for key, value in self._settings().items()))
        return config

    def _settings(self) -> dict[str, object]:
        controller = f"127.0.0.1:{self.controller_port}"
        listeners = f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}"
        # Acknowledged = on the disk, not only in the page cache. Seen on 2 busy cores, one producer, 1.5 KB each:
        # 7-10 instead of 13-17 thousand records a second in bulk, 7 instead of 6 ms for one alone.
        flush = {"log.flush.interval.messages": 1} if self.durable else {}
        return {
            "process.roles": "broker,controller",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "controller.quorum.bootstrap.servers": controller,
            "listeners": listeners,
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": self.layout.kafka,
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": 3,
            "transaction.state.log.num.partitions": 3,
            "group.initial.rebalance.delay.ms": 0,
            # After kill -9 a single node waits until its own dead session has run out: 9 s by default.
            "broker.session.timeout.ms": 2000,
            "broker.heartbeat.interval.ms": 500,
            **dict.fromkeys(SINGLE, 1),
            **flush,
        }


async def is_ready(bootstrap: str) -> bool:
    """Whether a broker answers there."""
    if not ports.answers(int(bootstrap.rpartition(":")[2])):  # the client would log each vain attempt
        return False
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3000)
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return True


async def ensure_topics(
    bootstrap: str, topics: Mapping[str, Mapping[str, str]], partitions: int
) -> list[str]:
    """Make the topics that are missing; those that are there stay as they are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        missing = sorted(topics.keys() - set(await admin.list_topics()))
        if not missing:
            return []
        wanted = [NewTopic(name, partitions, 1, topic_configs=dict(topics[name])) for name in missing]
        answer = await admin.create_topics(wanted)
    finally:
        await admin.close()
    # The client does not raise; another `up` may have been first.
    if refused := [error for error in answer.topic_errors if error[1] not in (0, ALREADY_THERE)]:
        raise NotRunning(f"Kafka refused to make topics: {refused}")
    return missing


def _broker() -> archives.Archive:
    archive = archives.pinned("kafka", "broker")
    if archive is None:
        raise NotRunning(
            "The lock file of Kafka's jars lacks its entry.",
            "Restore redress/stack/locks/kafka.json from git.",
        )
    return archive


def _readable(line: str) -> str:
    try:
        entry = json.loads(line)
        return f"{entry['time']} {entry['level']} {entry['message']}"
    except (ValueError, KeyError, TypeError):
        return line
