"""The paper's model: networks, kinematic chain space and losses."""
