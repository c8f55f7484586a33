"""How clients reach the broker: settings for aiokafka and kafka-python from one section of the configuration."""

import ssl
from typing import Any

from gridbeacon.config import Broker, Config
from gridbeacon.errors import ConfigError, GridbeaconError, Transient

EMBEDDED_HOST = "127.0.0.1"
FIND_BROKER_MS = 5_000
"""A broker that is not there is reported after this."""
REQUEST_MS = 15_000
"""No administrative request takes longer."""


def bootstrap(config: Config) -> str:
    """Return ``host:port[,host:port]`` of the broker, the embedded one included."""
    broker = config.broker
    return f"{EMBEDDED_HOST}:{broker.port}" if broker.bootstrap == "embedded" else broker.bootstrap


def client_settings(config: Config) -> dict[str, Any]:
    """Return the keyword arguments with which every aiokafka client reaches the broker.

    Raises ``ConfigError`` when the certificate file can't be read.
    """
    broker = config.broker
    settings: dict[str, Any] = {
        "bootstrap_servers": bootstrap(config),
        "security_protocol": broker.security_protocol,
    }
    if "SSL" in broker.security_protocol:
        settings["ssl_context"] = _ssl_context(broker)
    if broker.security_protocol.startswith("SASL"):
        settings["sasl_mechanism"] = broker.sasl_mechanism
        settings["sasl_plain_username"] = broker.username
        settings["sasl_plain_password"] = broker.password
    return settings


def admin_settings(config: Config) -> dict[str, Any]:
    """Return the keyword arguments of kafka-python's clients: the same connection, with bounded time-outs."""
    return client_settings(config) | {
        "bootstrap_timeout_ms": FIND_BROKER_MS,
        "request_timeout_ms": REQUEST_MS,
    }


def failure(error: BaseException, config: Config) -> GridbeaconError:
    """Return what to raise for a client's ``error``: ``Transient`` if trying again may help, else ``ConfigError``."""
    kind, text = _diagnose(error, config)
    return kind(text)


def explain(error: BaseException, config: Config) -> str:
    """Return one sentence that says what is wrong with the broker or the access to it, and which key to look at.

    While they look for a first broker the clients hide the reason; ``access.check_access`` finds it.
    """
    return _diagnose(error, config)[1]


def _diagnose(error: BaseException, config: Config) -> tuple[type[GridbeaconError], str]:
    """Go by the names of the errors: aiokafka and kafka-python share most of them, but no class."""
    broker, where = config.broker, bootstrap(config)
    chain = _chain(error)
    names = {kind.__name__ for one in chain for kind in type(one).__mro__}
    said = str(error).strip() or "no reason given"
    who = f"the Kafka broker at {where}"
    if "SSLCertVerificationError" in names:
        return ConfigError, f"the certificate of {who} is not trusted; set broker.ca_file to its authority's PEM file"
    if names & {"AuthenticationFailedError", "SaslAuthenticationFailedError", "SaslAuthenticationFailed"}:
        return ConfigError, f"{who} refuses user {broker.username!r}; check broker.username and broker.password"
    if "UnsupportedSaslMechanismError" in names:
        return ConfigError, f"{who} does not offer {broker.sasl_mechanism}; check broker.sasl_mechanism"
    if "IllegalSaslStateError" in names:
        return ConfigError, f"{who} wants no user name and password there; check broker.security_protocol"
    if any(name.endswith("AuthorizationFailedError") for name in names):
        return ConfigError, f"{who} does not permit this to user {broker.username!r}; extend the user's rights ({said})"
    if "InvalidReplicationFactorError" in names:
        wanted = broker.replication_factor
        return ConfigError, f"{who} has too few nodes for broker.replication_factor {wanted}; lower it"
    if "InvalidTopicError" in names:
        return ConfigError, f"{who} accepts no such topic name ({said}); change topics.prefix"
    if "UnknownTopicOrPartitionError" in names:
        return Transient, f"{who} lacks a topic ({said}); run gridbeacon init"
    if names & {"SSLError", "ConnectionResetError", "IncompleteReadError", "UnrecognizedBrokerVersion"}:
        protocol = broker.security_protocol
        return Transient, f"{who} hangs up on {protocol}; check broker.security_protocol, unless it is just restarting"
    if names & {"KafkaConnectionError", "NoBrokersAvailable", "KafkaTimeoutError", "TimeoutError", "OSError"}:
        fix = "check broker.bootstrap, or start it"
        if broker.bootstrap == "embedded":
            fix = "start it with gridbeacon up and the same configuration"
        return Transient, f"{who} can't be reached; {fix}"
    again = any(getattr(one, "retriable", False) for one in chain)
    return Transient if again else ConfigError, f"{who} answered {type(error).__name__}: {said}"


def _ssl_context(broker: Broker) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=broker.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"broker.ca_file {broker.ca_file!r} can't be read as PEM certificates: {error}") from error


def _chain(error: BaseException) -> list[BaseException]:
    """Return the error and what caused it, at most ten deep."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and len(found) < 10:
        found.append(one)
        one = one.__cause__ or one.__context__
    return found
