{#- The only two roads by which a request reaches SQL. Both accept closed sets, never free text. -#}

{#- The request's id as part of a table name: lower-case letters and digits, one underscore for a hyphen. -#}
{% macro request_id() -%}
    {%- set id = var('request_id') -%}
    {%- if id is not string or id | length > 64 or not modules.re.fullmatch('[a-z0-9]+(-[a-z0-9]+)*', id) -%}
        {{ exceptions.raise_compiler_error('request_id is not of the form [a-z0-9]+(-[a-z0-9]+)*') }}
    {%- endif -%}
    {{ return(id | replace('-', '_')) }}
{%- endmacro %}

{#- One parameter, which must be among `choices`; the first is what a preview without parameters uses. -#}
{% macro parameter(name, choices) -%}
    {%- set given = var('parameters') -%}
    {%- set value = given[name] if name in given else choices[0] -%}
    {%- if value not in choices -%}
        {{ exceptions.raise_compiler_error('parameter ' ~ name ~ ' is not one of its choices') }}
    {%- endif -%}
    {{ return(value) }}
{%- endmacro %}
