{#- Where a model lands in the room: the schema as configured, and one cells table per request. -#}

{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

{% macro generate_alias_name(custom_alias_name, node) -%}
    {%- if node.resource_type == 'model' and node.name.startswith('cells_') -%}
        {{ node.name[6:] }}__{{ request_id() }}
    {%- else -%}
        {{ custom_alias_name or node.name }}
    {%- endif -%}
{%- endmacro %}
